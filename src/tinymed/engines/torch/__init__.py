"""The torch engine: plain transformers, and bitsandbytes for `nf4` and `int8`.

In float32 it is the reference that every other engine is compared with. On a GPU it is the
engine; on a CPU, OpenVINO and llama.cpp are several times faster.
"""

from tinymed.engines.torch.engine import TorchEngine

__all__ = ["TorchEngine"]
