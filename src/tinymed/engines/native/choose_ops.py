"""Which implementation of the operations runs: the kernel, or NumPy where it cannot."""

from __future__ import annotations

import os
import sys

from tinymed.engines.native.ops import Ops
from tinymed.engines.native.plain import PlainOps
from tinymed.errors import ConfigError

KERNEL_VARIABLE = "TINYMED_KERNEL"
"""Set to "plain", the environment variable keeps the kernel out: for tests and diagnosis."""


def load_ops(threads: int) -> Ops:
    """The kernel, or the same in NumPy with a word on why.

    Args:
        threads: Threads to compute with.

    Raises:
        ConfigError: If the environment asks for something else.
    """
    wanted = os.environ.get(KERNEL_VARIABLE, "")
    if wanted not in ("", "plain"):
        raise ConfigError(f"{KERNEL_VARIABLE} is '{wanted}'; it can be 'plain', or not set.")
    if wanted == "plain":
        return PlainOps(threads)
    from tinymed.engines.native.kernel import KernelOps, kernel_problem

    problem = kernel_problem()
    if problem is None:
        return KernelOps(threads)
    sys.stderr.write(
        f"The native engine computes in NumPy, many times slower than it could: {problem}. "
        "Install a C compiler and tinymed again, or choose an openvino scheme.\n"
    )
    sys.stderr.flush()
    return PlainOps(threads)
