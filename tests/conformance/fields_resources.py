"""Rows about `linux.resources`: the container's control group, of version 2 in the guest.

What only the host's group carries, and what changes while a container runs, is in
tests/vm/test_oci_limits.py.
"""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.rows import NOBODY, Row, at

MIB: Final = 1 << 20
MEMORY: Final = {"limit": 64 * MIB, "swap": 64 * MIB}


def _either(modern: str, old: str) -> str:
    """A file of version 2, which the guest has, or that of version 1, which a peer may have."""
    return f"cd /sys/fs/cgroup; cat {modern} 2>/dev/null || cat {old}"


def _named(member: str, value: Any) -> str:
    return f"linux.resources.{member}, {value}"


def _unlike(member: str, value: Any, modern: str, old: str, wanted: str) -> Row:
    """The same limit in two notations."""
    change = at(f"linux.resources.{member}", value)
    return Row(_named(member, value), change, _either(modern, old), wanted, same=False)


def _alike(member: str, value: Any, modern: str, old: str, wanted: str) -> Row:
    change = at(f"linux.resources.{member}", value)
    return Row(_named(member, value), change, _either(modern, old), wanted)


def _ours(member: str, value: Any, script: str, wanted: str) -> Row:
    """What runc 1.1 does not do, or not on cgroup v1."""
    change = at(f"linux.resources.{member}", value)
    script = f"cd /sys/fs/cgroup; {script}"
    return Row(_named(member, value), change, script, wanted, peer=NOBODY)


ROWS: Final = (
    _alike("memory", {"limit": 64 * MIB}, "memory.max", "memory/memory.limit_in_bytes",
           str(64 * MIB)),
    _unlike("memory", MEMORY, "memory.swap.max", "memory/memory.memsw.limit_in_bytes",
            f"0|{64 * MIB}"),
    _alike("memory.reservation", 32 * MIB, "memory.low", "memory/memory.soft_limit_in_bytes",
           str(32 * MIB)),
    _unlike("cpu.shares", 2048, "cpu.weight", "cpu/cpu.shares", r"\d\d|2048"),
    _unlike("cpu", {"quota": 50_000, "period": 200_000}, "cpu.max",
            "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us", "50000[ \n]200000"),
    _unlike("cpu.quota", -1, "cpu.max", "cpu/cpu.cfs_quota_us", "max 100000|-1"),
    _alike("pids.limit", 77, "pids.max", "pids/pids.max", "77"),
    _alike("pids.limit", -1, "pids.max", "pids/pids.max", "max"),
    _ours("cpu", {"quota": 50_000, "burst": 4000}, "cat cpu.max.burst", "4000"),
    _ours("cpu.idle", 1, "cat cpu.idle", "1"),
    _ours("hugepageLimits", [{"pageSize": "2MB", "limit": 4 * MIB}], "cat hugetlb.2MB.max",
          str(4 * MIB)),
    _ours("unified", {"memory.high": str(48 * MIB), "pids.max": "55"},
          "cat memory.high pids.max", f"{48 * MIB}\n55"),
    _ours("memory", {"limit": 64 * MIB, "kernel": 0, "kernelTCP": MIB, "swappiness": 60,
                     "disableOOMKiller": True, "useHierarchy": True}, "cat memory.max",
          str(64 * MIB)),
)  # fmt: skip
