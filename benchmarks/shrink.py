"""Time a LLaVA of a known shape under several schemes and beside other programs, taking turns.

The checkpoint has random weights: speed and memory depend on the shape alone. It and its
builds are made once, in --folder (4 GB and more). Then every scheme runs in a process of its
own, in rounds, and before each the memory's bandwidth is probed and the processor's peak in
8-bit products. A machine that is busy with something else is refused (exit 2): such figures
would mislead.

--llama-cpp names a folder with llama.cpp's own programs, built for this machine (from the source
in the sdist of llama-cpp-python: cmake -DGGML_NATIVE=ON, targets llama-bench and llama-server).
gcc 12.2 breaks its kernels for AMX: it takes `ldtilecfg` to read 8 bytes, leaves the other 56
unwritten, and the program dies. `__asm__ volatile("" : : "m"(tc));` before `_tile_loadconfig(&tc)`
in ggml/src/ggml-cpu/amx/mmq.cpp helps.
--genai names a Python of its own with openvino-genai, and to make the export once also torch,
transformers 5.5, nncf, onnx, pillow, requests, datasets, and optimum-intel and optimum (pip's
--no-deps: they ask for a torchvision that is not needed).

Example:
    python benchmarks/shrink.py --folder shrink --shape tinyllava-1.5b --json shrink.json
    python benchmarks/shrink.py --folder shrink --shape clip-576 \\
        --llama-cpp llama.cpp/build/bin --genai genai-venv/bin/python
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import machine
import peers
from shapes import FIRST_QUESTION, SECOND_QUESTION, SHAPES, Shape, make_checkpoint

from tinymed.hardware.load import BUSY_SHARE, used_by_others
from tinymed.hardware.processor import read_processor
from tinymed.models import schemes

SCHEMES = tuple(
    name
    for name in (
        "native-int4",
        "native-int8",
        "openvino-int4",
        "openvino-int8",
        "gguf-q4_k_m",
        "nf4",
        "torch-bf16",
    )
    if name in schemes.SCHEMES
)
OTHERS = ("gguf-q4_k_m", "nf4", "torch-bf16")
"""Schemes whose arithmetic is another library's: llama.cpp's wheel, bitsandbytes, transformers."""
NUM_DECODED = 33
WIDEST_SPREAD = 0.25
"""Of a figure over the rounds, (highest - lowest) / median: more, and the machine was busy."""
VERSIONS = ("openvino", "xllamacpp", "torch", "transformers", "bitsandbytes", "numpy")
COLUMNS = {
    "load_s": "load s",
    "first_token_s": "first s",
    "vision_s": "vision s",
    "decode_tokens_per_s": "decode/s",
    "decode_of_bandwidth": "of probe",
    "second_to_first": "2nd/1st",
    "peak_mib": "peak MiB",
    "anonymous_mib": "anon MiB",
    "disk_mib": "disk MiB",
}
RATIOS = {
    "first_token_s": "first token, times as fast",
    "decode_tokens_per_s": "decode, times as fast",
    "peak_mib": "peak memory, share",
}

Figures = dict[str, float]


def main() -> None:
    """Measure, print tables, write JSON."""
    options = _options()
    shape = SHAPES[options.shape]
    make_checkpoint(options.folder / options.shape, shape)
    rows = _rows(options, shape)
    if options.make:
        return
    if not options.busy:
        _refuse_busy()
    rounds: dict[str, list[Figures]] = {name: [] for name in rows}
    probes: list[Figures] = []
    with tempfile.TemporaryDirectory() as work:
        try:
            probe = machine.Probe(Path(work), options.threads)
            for _ in range(options.rounds):
                for name, measure in rows.items():
                    if not options.busy:
                        _refuse_busy()
                    probes.append(probe.measure())
                    figures = measure()
                    # Stock llama.cpp hands CLIP's class token on as one more image token.
                    read = figures.get("prompt_tokens", shape.prompt_tokens)
                    if abs(read - shape.prompt_tokens) > 1:
                        _refuse(f"'{name}' read a prompt of {read:.0f} tokens.")
                    rounds[name].append(_with_ratios(figures, probes[-1], shape))
        except RuntimeError as error:
            _refuse(str(error))
    report = {
        "conditions": _conditions(options, probe.how),
        "probes": _summary(probes),
        "schemes": {name: _summary(runs) for name, runs in rounds.items()},
        "against": _against(rounds),
    }
    _print(report)
    noisy = _noisy(report)
    if noisy and not options.busy:
        _refuse(f"The figures above are not to be quoted: {noisy} over the rounds. Try again.")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoint and builds")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="tinyllava-1.5b")
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--llama-cpp", type=Path, help="folder of llama.cpp's programs: a peer")
    parser.add_argument("--genai", type=Path, help="a Python with openvino-genai: a peer")
    parser.add_argument(
        "--make", action="store_true", help="make checkpoint, builds and exports, and stop"
    )
    parser.add_argument(
        "--busy", action="store_true", help="measure on a busy machine all the same"
    )
    parser.add_argument("--json", type=Path, help="write the report here too")
    options = parser.parse_args()
    programs = [options.genai] if options.genai else []
    if options.llama_cpp:
        programs += [options.llama_cpp / name for name in ("llama-server", "llama-bench")]
    for path in programs:
        if not path.is_file():
            parser.error(f"There is no program '{path}'.")
    return options


def _refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(2)


def _refuse_busy() -> None:
    """Stop if others use the processors now."""
    share = used_by_others() or 0.0
    if share > BUSY_SHARE:
        _refuse(f"Others use {share:.0%} of this machine's processors: stop them, or pass --busy.")


# --- what is measured -----------------------------------------------------------------------


def _rows(options: argparse.Namespace, shape: Shape) -> dict[str, Callable[[], Figures]]:
    """What is measured each round, by name; whatever it needs is made first."""
    checkpoint = options.folder / options.shape
    rows: dict[str, Callable[[], Figures]] = {
        name: partial(_ours, name, _made(checkpoint, name, options), options)
        for name in options.schemes
    }
    run = peers.Run(shape=shape, threads=options.threads, num_decoded=NUM_DECODED)
    if options.llama_cpp:
        build = _made(checkpoint, "gguf-q4_k_m", options)
        language = build / "language.gguf"
        files = language, peers.stock_vision(checkpoint, build, options.folder)
        server, bench = (options.llama_cpp / f"llama-{name}" for name in ("server", "bench"))
        for name, words in peers.LLAMA_SETTINGS.items():
            rows[name] = partial(peers.llama_server, server, files, words, run)
        rows["llama-bench"] = partial(peers.llama_bench, bench, language, run)
    if options.genai:
        folder = options.folder / f"{options.shape}-genai-int4"
        peers.export_for_genai(checkpoint, shape, folder, options.genai)
        for name, settings in peers.GENAI_SETTINGS.items():
            rows[name] = partial(peers.genai, options.genai, folder, settings, run)
    return rows


def _made(checkpoint: Path, scheme: str, options: argparse.Namespace) -> Path:
    """The folder of a scheme's build, made where it is not there yet."""
    from tinymed.engines.building import make_build
    from tinymed.engines.choose import has_files
    from tinymed.models.build import is_build
    from tinymed.models.catalog import find_source
    from tinymed.models.schemes import find_scheme

    if not has_files(find_scheme(scheme)):
        return checkpoint
    folder: Path = options.folder / f"{checkpoint.name}-{scheme}"
    if not is_build(folder):
        print(f"Making {folder} …", file=sys.stderr)
        make_build(find_source(str(checkpoint)), find_scheme(scheme), folder)
    return folder


def _ours(name: str, place: Path, options: argparse.Namespace) -> Figures:
    """One scheme in a process of its own; see ours.py."""
    command: list[object] = [sys.executable, Path(__file__).with_name("ours.py"), name, place]
    command += ["--threads", options.threads, "--num-decoded", NUM_DECODED]
    command += ["--first", FIRST_QUESTION, "--second", SECOND_QUESTION]
    figures: Figures = json.loads(peers.output(command).splitlines()[-1])
    return figures | _sizes(name, place, SHAPES[options.shape])


def _sizes(name: str, place: Path, shape: Shape) -> Figures:
    """Bytes on disk, without what only other programs read, and bytes read for every token."""
    from tinymed.models.build import is_build, read_build

    if is_build(place):
        needed = [row.num_bytes for row in read_build(place).files if row.name != "mmproj.gguf"]
        language_bytes = _read_bytes(place)
    else:
        needed = [path.stat().st_size for path in place.iterdir()]
        language_bytes = shape.num_read_weights * schemes.SCHEMES[name].bits / 8
    return {"disk_mib": sum(needed) / 2**20, "language_bytes": language_bytes}


def _read_bytes(folder: Path) -> float:
    """Of a build's language model: what is read for every token, so not the embedding table."""
    from tinymed.models.build import read_build

    if (folder / "language.gguf").is_file():
        return peers.read_bytes(folder / "language.gguf")
    (part,) = (part for part in read_build(folder).parts if part.name == "language_model")
    tables = [float(path.stat().st_size) for path in folder.glob("embedding*")]
    tables += [_table_bytes(path) for path in folder.glob("language_model.safetensors")]
    return part.num_bytes - sum(tables)


def _table_bytes(path: Path) -> float:
    """The embedding table in a safetensors file."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    places = (row["data_offsets"] for name, row in header.items() if "embed_tokens" in name)
    return float(sum(end - start for start, end in places))


def _with_ratios(figures: Figures, probe: Figures, shape: Shape) -> Figures:
    read = figures["language_bytes"] * figures["decode_tokens_per_s"] / 1e9
    figures["decode_of_bandwidth"] = read / probe["read_gb_per_s"]
    figures["decode_of_plain_bandwidth"] = read / probe["plain_read_gb_per_s"]
    if "int8_gop_per_s" in probe and "first_token_s" in figures:
        bound = shape.num_operations / probe["int8_gop_per_s"] / 1e9
        figures["first_token_to_bound"] = figures["first_token_s"] / bound
    return figures


# --- the report -----------------------------------------------------------------------------


def _summary(runs: list[Figures]) -> dict[str, dict[str, float]]:
    shared = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: _spread([run[name] for run in runs]) for name in shared}


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def _against(rounds: dict[str, list[Figures]]) -> dict[str, Any]:
    """Each scheme of ours beside each peer, round by round; speeds as multiples of the peer's."""
    found: dict[str, Any] = {}
    known = [name for name in rounds if name in schemes.SCHEMES]
    ours = [name for name in known if name not in OTHERS]
    for name in ours:
        found[name] = {}
        for peer, runs in rounds.items():
            if peer in ours:
                continue
            pairs = list(zip(rounds[name], runs, strict=True))
            found[name][peer] = {
                figure: _spread([_times(own, other, figure) for own, other in pairs])
                for figure in RATIOS
                if all(figure in other for _, other in pairs)
            }
    return found


def _times(own: Figures, other: Figures, figure: str) -> float:
    if figure == "first_token_s":
        return other[figure] / own[figure]
    return own[figure] / other[figure]


def _noisy(report: dict[str, Any]) -> str:
    """Which figure of speed spread too wide, in words; "" if none did."""
    speeds = {f"the probe's {n}": f for n, f in report["probes"].items() if n == "read_gb_per_s"}
    for scheme, figures in report["schemes"].items():
        for name in ("first_token_s", "decode_tokens_per_s"):
            if name in figures:
                speeds[f"{name} of {scheme}"] = figures[name]
    for name, figure in speeds.items():
        spread = (figure["high"] - figure["low"]) / figure["median"]
        if spread > WIDEST_SPREAD:
            return f"{name} spread by {spread:.0%}"
    return ""


def _conditions(options: argparse.Namespace, probe: str) -> dict[str, Any]:
    versions, processor = {}, read_processor()
    for package in VERSIONS:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    if options.llama_cpp:
        versions["llama.cpp"] = peers.llama_version(options.llama_cpp / "llama-server")
    if options.genai:
        versions["openvino-genai"] = peers.genai_version(options.genai)
    return {
        "machine": f"{processor.name} ({', '.join(processor.known_instructions)})",
        "processors": os.cpu_count(),
        "threads": options.threads,
        "shape": options.shape,
        "image_tokens": SHAPES[options.shape].patches,
        "prompt_tokens": SHAPES[options.shape].prompt_tokens,
        "rounds": options.rounds,
        "bandwidth_probe": probe,
        "busy_machine_allowed": options.busy,
        "python": platform.python_version(),
        "versions": versions,
    }


def _print(report: dict[str, Any]) -> None:
    print(json.dumps(report["conditions"], indent=2))
    for name, figure in report["probes"].items():
        print(f"{name:24}{figure['median']:9.1f}   {figure['low']:.1f} to {figure['high']:.1f}")
    found = {row: _medians(figures, COLUMNS) for row, figures in report["schemes"].items()}
    _print_table("medians", COLUMNS.values(), found)
    for figure, title in RATIOS.items():
        found = {
            name: [beside.get(figure, {}).get("median") for beside in peers_of.values()]
            for name, peers_of in report["against"].items()
        }
        names: list[str] = list(next(iter(report["against"].values()), {}))
        _print_table(f"{title} as", names, found)


def _medians(figures: dict[str, Any], names: Iterable[str]) -> list[float | None]:
    return [figures.get(name, {}).get("median") for name in names]


def _print_table(title: str, columns: Iterable[str], rows: dict[str, list[float | None]]) -> None:
    if not rows:
        return
    names = list(columns)
    widths = [max(len(name), 8) + 2 for name in names]
    first = max(len(title), *map(len, rows)) + 1
    print("\n" + f"{title:{first}}" + "".join(map(str.rjust, names, widths)))
    for row, values in rows.items():
        cells = ["-" if value is None else _three_digits(value) for value in values]
        print(f"{row:{first}}" + "".join(map(str.rjust, cells, widths)))


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


if __name__ == "__main__":
    main()
