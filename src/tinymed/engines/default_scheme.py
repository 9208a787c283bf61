"""The scheme of a model that is named without one."""

from __future__ import annotations

from tinymed.engines.native.kernel import kernel_problem
from tinymed.models.catalog import Checkpoint, Source
from tinymed.models.language_gguf import NARROW
from tinymed.models.llava_checkpoint import language_width
from tinymed.models.schemes import DEFAULT_SCHEME, WIDE_SCHEME, Scheme, find_scheme


def default_scheme(source: Source) -> Scheme:
    """8 bits, in the engine that answers first on this machine (decision 0009).

    That is the native one for a checkpoint whose language model is wide, where its kernel
    could be compiled; OpenVINO for all others.
    """
    is_wide = isinstance(source, Checkpoint) and language_width(source.folder) >= NARROW
    return find_scheme(WIDE_SCHEME if is_wide and kernel_problem() is None else DEFAULT_SCHEME)
