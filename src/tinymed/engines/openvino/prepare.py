"""Making a model's build when it is first needed, and finding it ever after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

from tinymed.engines.openvino.build import FORMAT, MANIFEST, build_openvino
from tinymed.engines.openvino.layers import Precision
from tinymed.errors import ModelError, TinymedError
from tinymed.models.cache import cache_folder
from tinymed.models.catalog import find_model
from tinymed.models.manifest import Manifest
from tinymed.models.weights import load_weights, weights_digest


def build_folder(manifest: Manifest, precision: Precision) -> Path:
    """Where a build of exactly these weights is kept."""
    name = f"{manifest.name}-openvino{FORMAT}-{precision}-{weights_digest(manifest)[:16]}"
    return cache_folder() / "builds" / name


def ensure_build(manifest: Manifest, precision: Precision) -> Path:
    """The folder of a model's build, which is made first where it is not there yet.

    Made in a process of its own: building holds twice the memory that answering needs, and
    would not give it back.

    Raises:
        ModelError: If the model's files are missing or damaged.
    """
    folder = build_folder(manifest, precision)
    if (folder / MANIFEST).exists():
        return folder
    sys.stderr.write(f"Building {manifest.name} for OpenVINO ({precision}), once …\n")
    sys.stderr.flush()
    command = [sys.executable, "-m", __name__, str(manifest.folder), precision]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        raise ModelError(lines[-1].removeprefix("error: "))
    return folder


def main() -> None:
    """Build the model of a folder: `python -m … FOLDER PRECISION`."""
    folder, precision = sys.argv[1], cast("Precision", sys.argv[2])
    try:
        manifest = find_model(f"{folder}/")
        build_openvino(
            load_weights(manifest), build_folder(manifest, precision), precision=precision
        )
    except TinymedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
