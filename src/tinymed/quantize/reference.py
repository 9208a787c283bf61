"""Which scheme a build is compared with."""

from __future__ import annotations

from tinymed.engines.choose import has_files
from tinymed.errors import ConfigError
from tinymed.extras import is_installed
from tinymed.hardware.memory import machine_memory
from tinymed.models.build import Build
from tinymed.models.schemes import Scheme, find_scheme

MAX_MEMORY_SHARE = 0.6
"""Of the memory, that a reference's weights may take when none is asked for by name."""

_BYTES_A_WEIGHT = {"torch-f32": 4, "torch-bf16": 2, "openvino-f32": 4}


def reference_for(build: Build, name: str | None) -> Scheme:
    """The scheme to compare a build with.

    Without a name: "torch-f32", transformers' own computation, where torch is installed;
    "openvino-f32" elsewhere. For a model whose weights do not fit into the memory so,
    "torch-bf16".

    Raises:
        ConfigError: If the reference named is not full precision or is what the build is in,
            or if none fits.
    """
    if name is not None:
        return _checked(find_scheme(name), build)
    has_torch = is_installed("torch", "transformers")
    wanted = ("torch-f32", "torch-bf16") if has_torch else ("openvino-f32",)
    num_weights = sum(part.num_weights for part in build.parts)
    memory = machine_memory().usable_bytes
    for one in wanted:
        if memory is None or num_weights * _BYTES_A_WEIGHT[one] <= MAX_MEMORY_SHARE * memory:
            return _checked(find_scheme(one), build)
    raise ConfigError(
        f"'{build.model}' has {num_weights / 1e6:,.0f} million weights, which "
        f"{' and '.join(wanted)} would not fit into {MAX_MEMORY_SHARE:.0%} of the memory. Compare "
        "on a larger machine, or name a reference with --reference."
    )


def _checked(scheme: Scheme, build: Build) -> Scheme:
    if scheme.name == build.scheme:
        what = "install torch: pip install 'tinymed[torch]'" if has_files(scheme) else "name one"
        raise ConfigError(
            f"'{build.name}' compared with itself shows nothing. For another reference, {what}."
        )
    if scheme.bits < 16:  # noqa: PLR2004
        raise ConfigError(
            f"'{scheme.name}' is no reference: it is quantized itself. Name torch-f32, "
            "torch-bf16, openvino-f32 or gguf-f16."
        )
    return scheme
