"""How each engine is opened for a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinymed.engines.names import DEFAULT_ENGINE, ENGINES
from tinymed.errors import ConfigError
from tinymed.extras import require
from tinymed.models.catalog import find_model
from tinymed.models.manifest import Manifest
from tinymed.models.weights import load_prompt, load_weights

if TYPE_CHECKING:
    from tinymed.engines.openvino.layers import Precision
    from tinymed.engines.protocol import Engine


def open_engine(model: str, *, engine: str = DEFAULT_ENGINE, threads: int | None = None) -> Engine:
    """Open a model in an engine; a build that is not there yet is made first.

    Args:
        model: A model's name; its parts must have been fetched.
        engine: A name in ENGINES.
        threads: Processor threads; None lets the engine choose.

    Raises:
        ConfigError: If no engine has this name.
        ModelError: If the model is unknown, incomplete or damaged.
        MissingExtraError: If the engine's packages are not installed.
    """
    if engine not in ENGINES:
        raise ConfigError(f"No engine '{engine}'. Known: {', '.join(ENGINES)}.")
    return _OPEN[engine](find_model(model), threads)


def prepare_engine(model: str, *, engine: str = DEFAULT_ENGINE) -> None:
    """Make what an engine needs of a model and does not have yet, so that opening is quick.

    Raises:
        ModelError: If the model is unknown, incomplete or damaged.
    """
    precision = _PRECISIONS.get(engine)
    if precision is not None:
        from tinymed.engines.openvino.prepare import ensure_build

        ensure_build(find_model(model), precision)


def _open_openvino(precision: Precision) -> Callable[[Manifest, int | None], Engine]:
    def open_(manifest: Manifest, threads: int | None) -> Engine:
        from tinymed.engines.openvino.prepare import ensure_build
        from tinymed.engines.openvino.runtime import OpenVinoEngine
        from tinymed.models.prompt import TEMPLATE

        folder = ensure_build(manifest, precision)
        return OpenVinoEngine(
            folder,
            model=manifest.name,
            prompt=load_prompt(manifest),
            prompt_template=TEMPLATE,
            preprocessing=manifest.preprocessing,
            threads=threads,
        )

    return open_


def _open_torch(manifest: Manifest, threads: int | None) -> Engine:
    for package in ("torch", "transformers", "onnx"):
        require(package, extra="torch", for_what="The torch engine")
    from tinymed.engines.torch import TorchEngine

    return TorchEngine(load_weights(manifest), load_prompt(manifest), threads=threads)


_PRECISIONS: dict[str, Precision] = {"openvino": "int8", "openvino-f32": "f32"}
_OPEN: dict[str, Callable[[Manifest, int | None], Engine]] = {
    **{name: _open_openvino(precision) for name, precision in _PRECISIONS.items()},
    "torch": _open_torch,
}
