"""Limits of control groups, in both versions of Linux's files."""

from __future__ import annotations

from pathlib import Path

from tests.hardware.made_up_machine import write_tree

from tinymed.hardware.control_group import group_limits

GIB = 2**30


def test_the_tightest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/service/worker\n",
        "sys/fs/cgroup/service/memory.max": f"{GIB}\n",
        "sys/fs/cgroup/service/cpu.max": "max 100000\n",
        "sys/fs/cgroup/service/worker/memory.max": f"{2 * GIB}\n",
        "sys/fs/cgroup/service/worker/cpu.max": "50000 100000\n",
    }
    limits = group_limits(root=write_tree(tmp_path, files))
    assert (limits.memory_bytes, limits.processors) == (GIB, 0.5)
    assert limits.memory_left_bytes is None


def test_version_one_is_read_too(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/box\n3:cpu,cpuacct:/box\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory/box/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/box/memory.stat": "inactive_file 7\ntotal_inactive_file 1024\n",
        "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
    }
    limits = group_limits(root=write_tree(tmp_path, files))
    assert limits.memory_bytes == 3 * GIB
    assert limits.memory_left_bytes == 2 * GIB + 1024
    assert limits.processors == 4.0


def test_a_container_that_sees_its_hosts_path_finds_its_limit_at_the_root(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/0123\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
    }
    assert group_limits(root=write_tree(tmp_path, files)).memory_bytes == GIB


def test_no_limit_is_none_and_not_a_huge_number(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/\n3:cpu:/\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory.max": "max\n",
    }
    for root in (write_tree(tmp_path / "some", files), tmp_path / "none"):
        limits = group_limits(root=root)
        assert (limits.memory_bytes, limits.processors) == (None, None)
