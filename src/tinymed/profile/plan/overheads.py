"""What engines take beside a model's numbers: constants, and the processes they were measured on.

Each comes from processes of their own that opened a build, read one image and answered one
question, on Linux (x86-64, two cores with AVX-512 and AMX, two threads), 2026-11-22: VmRSS,
RssAnon and VmHWM after importing, opening, encoding and answering. Shapes: nano; SigLIP-so400m
and CLIP-L/14 with TinyLlama-1.1B ("tinyllava", "clip-576", "clip-64"); CLIP-B/16-336 with a
language model of Qwen2-0.5B's size ("small"). A fifth, SigLIP-B/16-224 with SmolLM2-360M's
("held out"), gave none of them: the predictions are checked on it.
"""

from __future__ import annotations

from tinymed.profile.plan.plan import MIB

IMAGE_READING = 80 * MIB
"""Reading radiographs of 3.6 million pixels in front of it all, one after the other. nano's
native-int8 takes 319 MiB with pixels made up, 348 with one PNG of that size, 369 with one DICOM
file, whose reader is loaded too, and 392 after seven of them with three answers each, as
`profile run` asks; its openvino-int8 714, 715, 734 and, since it gives back more pages, 655."""
NATIVE_BASE = 68 * MIB
"""Python, NumPy, tokenizer, kernel: 873 MiB once open less 807 of weights (tinyllava), and 65 of
813 (clip-576); 2 more by the end of an answer."""

OPENVINO_BASE = 113 * MIB
"""61 imported, 77 with the plugin's code, 83 of files and 28 of data after an answer."""
OPENVINO_BESIDE_NATIVE = 64 * MIB
"""What OpenVINO adds to a native build that it sees for: 17 imported, 46 of the plugin's code."""
LANGUAGE_GRAPH = 40 * MIB
LANGUAGE_GRAPH_A_WEIGHT = 0.12
"""Of a language model's graph beyond its matrices: scales in 32 bits, sums of rows, code. 59 MiB
at 134 million weights (nano), 95 at 386 (small) and 161 at 1,034 (tinyllava), activations
included."""
VISION_GRAPH = 27 * MIB
VISION_GRAPH_A_WEIGHT = 0.29
"""The same of a vision graph: 31 MiB at 6.6 million weights (nano), 48 at 79 (small), 117 at 297
(clip-576), 131 at 404 (tinyllava)."""
OPENVINO_CACHES = 4
"""Copies of the keys and values: the graph's state, what it grows from, the image's own."""
SECOND_LAYOUT_TOKENS = range(8, 81)
SECOND_LAYOUT_WEIGHTS = 2**22
"""The plugin lays out matrices of fewer weights, in 16 or in 8 bits without rounded activations,
a second time when it first reads so many tokens together: 152 MiB more between 7 and 8 tokens,
and between 80 and 82, in nano; of `small` its matrices of 1.0 million weights and not those of
4.4, of nano all (at most 1.8)."""
PREFIX_TOKENS_AT_ONCE = 128
"""`engines.openvino.runtime` has it, which imports OpenVINO."""
TEXT_BEFORE_IMAGE = 6
"""Tokens of a prompt before the image's: 5 in nano, 8 in a LLaVA with a token a letter."""

LLAMACPP_BASE = 158 * MIB
"""65 imported, 42 of code, vocabulary and small buffers: 480 MiB of nano's q8_0 and 384 of its
gguf-lora, less all that is counted beside it."""
LLAMACPP_BATCH_TOKENS = 512
LLAMACPP_REPACKED = ("Q4_K",)
"""Types that llama.cpp's wheel copies into another layout for AVX2: 455 MiB of TinyLlama."""

TORCH_BASE = 433 * MIB
"""375 imported (torch, transformers, bitsandbytes' checks), 41 once open, 17 of code later."""
TORCH_LARGEST_COPIES = {"f32": 6, "bf16": 8}
"""Bytes a weight of the largest tensor while it is read from a checkpoint: 500 MiB more for a
moment in bfloat16 (tinyllava), 164 in float32 and 219 in bfloat16 (small)."""
TORCH_OPENING_OURS = 9.3
"""Bytes a weight of the language model while a model of ours is opened, which is GGUF and adapter:
dequantized, merged, copied. nano: 1,611 MiB in float32 and in bfloat16."""
TORCH_HOLES = 0.2
"""Share of a language model's bfloat16 bytes that stays unused between them, where matrices are
so small that the allocator keeps what reading them in float32 freed. It differs from file to file
and from run to run: 0.46 (small), 0 and once 1.0 (TinyLlama's)."""
TORCH_HOLES_WEIGHTS = 2**23
"""Largest matrix of which that holds: 32 MiB in float32."""
BITSANDBYTES = 35 * MIB
"""Imported and opened with: 490 MiB of tinyllava's nf4 build before a weight is read."""
NF4_COPY_A_WEIGHT = 0.55
"""Of a packed matrix once it wrote a token on a processor: bitsandbytes' own layout beside the
mapped file, scales in 32 bits. 50 MiB at 106 million weights (nano), 482 at 969 (tinyllava)."""
INT8_OUTLIERS = 80 * MIB
"""What LLM.int8 keeps of columns where activations have outliers: 76 to 135 MiB (nano), 37 (held
out, whose random weights make none)."""

CUDA_CONTEXT = 450 * MIB
"""The driver's and the libraries' own on a GPU. Not measured by us: what others report for
PyTorch lies between 300 and 500 MiB."""
PROGRAM_BASE = {"torch": TORCH_BASE, "llamacpp": 50 * MIB}
"""The program's own memory beside a GPU's, by engine; a stock llama.cpp's is our allowance."""
