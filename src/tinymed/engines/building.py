"""Making a model's build when it is first needed, and finding it ever after."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tinymed.engines.build_progress import OnProgress, print_progress, show_progress, watched
from tinymed.engines.child_process import hear
from tinymed.errors import ConfigError, ModelError, TinymedError
from tinymed.models.build import FORMAT, Build, clear_after, is_build
from tinymed.models.cache import cache_folder
from tinymed.models.catalog import Source, find_source, load_source, source_digest
from tinymed.models.schemes import Scheme, find_scheme


def build_folder(source: Source, scheme: Scheme) -> Path:
    """Where a build of exactly these weights is kept."""
    name = f"{source.name}-{scheme.name}-{FORMAT}-{source_digest(source)[:16]}"
    return cache_folder() / "builds" / name


def ensure_build(source: Source, scheme: Scheme) -> Path:
    """The folder of a model's build, which is made first where it is not there yet.

    Raises:
        ModelError: If the model's files are missing or damaged.
        MissingExtraError: If the scheme's packages are not installed.
    """
    folder = build_folder(source, scheme)
    if not is_build(folder):
        sys.stderr.write(f"Building {source.name} as {scheme.name}, once …\n")
        sys.stderr.flush()
        make_build(source, scheme, folder)
    return folder


def make_build(
    source: Source, scheme: Scheme, folder: Path, *, precisions: Mapping[str, str] | None = None
) -> None:
    """Make a build in a process of its own, and show how far it is.

    Building holds far more memory than answering needs, and would not give it back.

    Args:
        source: What to build from.
        scheme: How.
        folder: Where the build goes; an older one there is replaced when this one is whole.
        precisions: Of single parts, where they are to differ from the scheme's.

    Raises:
        ModelError: If the model's files are missing or damaged.
        ConfigError: If the engine does not know a precision.
    """
    row = json.dumps(dict(precisions or {}))
    command = [sys.executable, "-m", __name__, source.address, scheme.name, str(folder), row]
    ended = hear(
        command,
        lambda lines: show_progress(lines, f"{source.name}:{scheme.name}"),
        afterwards=lambda pid: clear_after(folder, pid),
    )
    if ended.returncode != 0:
        raise ModelError(_reason(ended.complaints, ended.returncode))


def _reason(said: list[str], returncode: int) -> str:
    """Why a build ended without success, in one sentence."""
    if returncode < 0:
        return (
            f"The build was killed (signal {-returncode}), as happens where memory runs out. "
            "Close other programs, or build on a computer with more memory."
        )
    return said[-1].removeprefix("error: ") if said else f"The build ended with code {returncode}."


def write_engine_files(
    source: Source,
    scheme: Scheme,
    folder: Path,
    *,
    precisions: Mapping[str, str],
    on_progress: OnProgress,
) -> Build:
    """Make a build in this process.

    `on_progress` is told how many weights are in the build as each tensor is asked for.

    Raises:
        ModelError: If the model's files are missing or damaged.
        ConfigError: If the engine does not know a precision, or the scheme keeps no files.
    """
    weights = watched(load_source(source), on_progress)
    if scheme.engine == "openvino":
        from tinymed.engines.openvino.build import build_openvino

        return build_openvino(weights, folder, scheme=scheme, precisions=precisions)
    if scheme.engine == "native":
        from tinymed.engines.native.build import build_native

        return build_native(weights, folder, scheme=scheme, precisions=precisions)
    if scheme.engine == "llamacpp":
        from tinymed.engines.llamacpp.build import build_gguf

        return build_gguf(weights, folder, scheme=scheme, precisions=precisions)
    if scheme.bits >= 16:  # noqa: PLR2004
        raise ConfigError(
            f"'{scheme.name}' is the model as it is: there is nothing to build. Choose another."
        )
    from tinymed.engines.torch.build import build_torch

    return build_torch(weights, folder, scheme=scheme, precisions=precisions)


def main() -> None:
    """Build: `python -m tinymed.engines.building ADDRESS SCHEME FOLDER PRECISIONS`."""
    parser = argparse.ArgumentParser()
    for name in ("address", "scheme", "folder", "precisions"):
        parser.add_argument(name)
    options = parser.parse_args()
    try:
        write_engine_files(
            find_source(options.address),
            find_scheme(options.scheme),
            Path(options.folder),
            precisions=json.loads(options.precisions),
            on_progress=print_progress,
        )
        print_progress(1, 1)
    except TinymedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
