"""How a model is opened: which scheme, which engine, and whether its build may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinymed.engines.building import ensure_build
from tinymed.engines.default_scheme import default_scheme
from tinymed.errors import ModelError
from tinymed.extras import require
from tinymed.models.build import Build, read_build
from tinymed.models.catalog import Checkpoint, Source, find, load_source, split_address
from tinymed.models.fetch import require_parts
from tinymed.models.llava_checkpoint import unreadable_because
from tinymed.models.parity_mark import require_parity
from tinymed.models.schemes import Scheme, find_scheme

PUBLISHED_SCHEME = "torch-bf16"
"""Of checkpoints that only transformers can read, where none is named."""

if TYPE_CHECKING:
    from tinymed.engines.protocol import Engine


def open_engine(
    address: str, *, threads: int | None = None, force_build: str | None = None
) -> Engine:
    """Open a model; a build that is not there yet is made first.

    Args:
        address: A model's name or folder, with ":SCHEME" or without; or a build's folder.
        threads: Processor threads; None lets the engine choose.
        force_build: "MODEL:SCHEME" of a build to be used although the parity gate failed it
            or never saw it.

    Raises:
        ConfigError: If there is no such scheme.
        ModelError: If the model is unknown, incomplete or damaged, or its build did not pass.
        MissingExtraError: If the engine's packages are not installed.
    """
    base, scheme = split_address(address)
    found = find(base)
    if isinstance(found, Build):
        _refuse_other_scheme(found, scheme)
        require_parity(found, address=base, forced=force_build)
        return open_build(found, threads=threads)
    if isinstance(found, Checkpoint):
        reason = unreadable_because(found.folder)
        if reason is not None:
            return _open_published(found, scheme, reason, threads=threads, forced=force_build)
    else:
        require_parts(found)
    scheme = scheme or default_scheme(found)
    if not has_files(scheme):
        return open_as_it_is(found, scheme, threads=threads)
    build = read_build(ensure_build(found, scheme))
    require_parity(build, address=f"{base}:{scheme.name}", forced=force_build)
    return open_build(build, threads=threads)


def has_files(scheme: Scheme) -> bool:
    """Whether a scheme keeps a model in files of its own: all but torch's full precisions."""
    return scheme.engine != "torch" or scheme.bits < 16  # noqa: PLR2004


def open_build(build: Build, *, threads: int | None = None) -> Engine:
    """Open a build in its engine, whatever the parity gate says of it.

    Raises:
        ModelError: If the build is damaged.
        MissingExtraError: If the engine's packages are not installed.
    """
    engine = find_scheme(build.scheme).engine
    if engine == "openvino":
        from tinymed.engines.openvino.runtime import OpenVinoEngine

        return OpenVinoEngine(build.folder, threads=threads)
    if engine == "native":
        from tinymed.engines.native.engine import NativeEngine

        return NativeEngine(build.folder, threads=threads)
    if engine == "llamacpp":
        require("xllamacpp", extra="gguf", for_what="The llama.cpp engine")
        from tinymed.engines.llamacpp.engine import LlamaCppEngine

        return LlamaCppEngine(build.folder, threads=threads)
    _require_torch()
    from tinymed.engines.torch.build import open_torch_build

    return open_torch_build(build.folder, threads=threads)


def open_as_it_is(source: Source, scheme: Scheme, *, threads: int | None = None) -> Engine:
    """Open a model in torch, in full precision: there is no build.

    Raises:
        ModelError: If the model is incomplete or damaged.
        MissingExtraError: If torch is not installed.
    """
    _require_torch()
    from tinymed.engines.torch import TorchEngine

    return TorchEngine(load_source(source), scheme=scheme.name, threads=threads)


def _open_published(
    found: Checkpoint,
    scheme: Scheme | None,
    reason: str,
    *,
    threads: int | None,
    forced: str | None,
) -> Engine:
    """Open a checkpoint that only transformers itself can read."""
    scheme = scheme or find_scheme(PUBLISHED_SCHEME)
    name = f"{found.name}:{scheme.name}"
    if scheme.engine != "torch":
        raise ModelError(
            f"'{found.address}' runs in transformers only: name it '{found.address}:"
            f"{PUBLISHED_SCHEME}'. {reason}"
        )
    if scheme.bits < 16 and forced != name:  # noqa: PLR2004
        raise ModelError(
            f"'{name}' would be quantized as it is loaded, which leaves no build to compare with "
            f"its original. Take it all the same with: --force-build {name}"
        )
    _require_torch()
    from tinymed.engines.torch.published import TransformersEngine

    # It takes pictures in place of pixels, and says so: `protocol.PreparesImages`.
    engine: Any = TransformersEngine(found.folder, scheme=scheme.name, threads=threads)
    opened: Engine = engine
    return opened


def _refuse_other_scheme(build: Build, scheme: Scheme | None) -> None:
    if scheme is not None and scheme.name != build.scheme:
        raise ModelError(
            f"The build '{build.folder}' is '{build.scheme}', not '{scheme.name}'. Name the model "
            "that it was made from."
        )


def _require_torch() -> None:
    for package in ("torch", "transformers", "onnx"):
        require(package, extra="torch", for_what="The torch engine")
