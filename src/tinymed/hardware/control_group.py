"""What the control group of this process leaves it: containers and services are held by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_UNLIMITED_BYTES = 2**60
"""Version 1 writes a number of pages near 2**63 where there is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """The tightest limits on the way from this process's group up to the root."""

    memory_bytes: int | None
    """None where memory is not limited."""
    memory_left_bytes: int | None
    """Of that, what nobody in the group holds; pages of files that can be dropped count as left."""
    processors: float | None
    """Processors' time a second: 1.5 is a processor and a half. None where not limited."""


def group_limits(*, root: Path = Path("/")) -> GroupLimits:
    """Read the limits of version 1 and 2; where there is neither, nothing is limited.

    Args:
        root: Folder that holds `proc` and `sys`; another in tests.

    Source:
        Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of the Linux kernel.
    """
    limits, left = [], []
    for folder in _folders("memory", root):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if limit is None or limit >= _UNLIMITED_BYTES:
            continue
        limits.append(limit)
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes")
        if used is not None:
            left.append(limit - used + _droppable(folder / "memory.stat"))
    quotas = [_quota(folder) for folder in _folders("cpu", root)]
    return GroupLimits(
        memory_bytes=min(limits, default=None),
        memory_left_bytes=min(left, default=None),
        processors=min((quota for quota in quotas if quota is not None), default=None),
    )


def threads_of(processors: float | None, allowed: int) -> int:
    """Threads worth starting: `allowed`, or as many as a limit on processors' time feeds.

    >>> threads_of(None, 8), threads_of(1.5, 8), threads_of(0.5, 8)
    (8, 2, 1)
    """
    return allowed if processors is None else max(1, min(allowed, math.ceil(processors)))


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """Folders of this process's group and of all above it, in either version."""
    mounted = root / "sys/fs/cgroup"
    for controllers, path in _own_groups(root):
        if controllers == "":
            bases = (mounted, mounted / "unified")
        elif controller in controllers.split(","):
            bases = (mounted / controller, mounted / controllers)
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        # In a container without a view of its own the path is the host's and is not there: only
        # the root of what is mounted, which is the container's group, then says something.
        for base in bases:
            yield from (base / step for step in (inside, *inside.parents))


def _own_groups(root: Path) -> list[tuple[str, str]]:
    """Controllers, joined by commas and "" in version 2, and the path of each group."""
    try:
        text = (root / "proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return []
    rows = (line.split(":", 2) for line in text.splitlines())
    return [(row[1], row[2]) for row in rows if len(row) == 3]  # noqa: PLR2004 - number, two fields


def _quota(folder: Path) -> float | None:
    """Processors' time a second that a group may take."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        share = _number(folder / "cpu.cfs_quota_us")
        whole = _number(folder / "cpu.cfs_period_us")
        return share / whole if share and whole else None
    return None if quota == "max" else int(quota) / int(period)


def _droppable(path: Path) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    told = dict(line.split(" ", 1) for line in lines if " " in line)
    # Version 1 has the group's own pages under the short name, and those of all below it here.
    return int(told.get("total_inactive_file", told.get("inactive_file", 0)))


def _number(path: Path) -> int | None:
    """The positive whole number a file holds; None for "max", -1 and files that are not there."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) > 0 else None
