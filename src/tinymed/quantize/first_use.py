"""Opening a model for use: what was never compared is compared first, once."""

from __future__ import annotations

import sys

from tinymed.engines.building import ensure_build
from tinymed.engines.choose import has_files, open_engine
from tinymed.engines.default_scheme import default_scheme
from tinymed.engines.protocol import Engine
from tinymed.models.build import Build, read_build
from tinymed.models.catalog import Checkpoint, find, split_address
from tinymed.models.fetch import require_parts
from tinymed.models.parity_mark import read_parity
from tinymed.quantize.compare_build import GateSettings, compare_build


def open_compared(
    address: str, *, threads: int | None = None, force_build: str | None = None
) -> Engine:
    """Open a model as `open_engine` does, with its build made and compared where it was not.

    Models of ours only: a comparison of one takes a minute, of a large checkpoint far
    longer, so there `tinymed quantize` is to be called.

    Raises:
        UserError: As `open_engine`, and if the build fails the comparison.
    """
    make_ready(address, force_build=force_build)
    return open_engine(address, threads=threads, force_build=force_build)


def make_ready(address: str, *, force_build: str | None = None) -> None:
    """Make and compare the build that an address means, unless it is there or is forced.

    Raises:
        ModelError: If the model is unknown, incomplete or damaged.
    """
    base, named = split_address(address)
    found = find(base)
    if isinstance(found, Build | Checkpoint):
        return
    scheme = named or default_scheme(found)
    if not has_files(scheme):
        return
    require_parts(found)
    build = read_build(ensure_build(found, scheme))
    if read_parity(build) is not None or force_build == build.name:
        return
    sys.stderr.write(f"Comparing {build.name} with its model, once …\n")
    sys.stderr.flush()
    compare_build(build, found, GateSettings())
