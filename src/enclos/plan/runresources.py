"""Limits of a container: memory, CPUs, processes, rlimits, devices. PURE."""

from __future__ import annotations

import re
from typing import Final

from enclos.oci.names import RLIMITS
from enclos.oci.resources import BlockIo, Cpu, DeviceRule, Memory, Pids, Resources
from enclos.oci.types import Rlimit
from enclos.plan.flagtext import UNLIMITED, bad, decimal, integer, size
from enclos.plan.machine import check_docker_minimum
from enclos.plan.runoptions import RunOptions

_PERIOD_US: Final = 100_000
_CPUSET: Final = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*", re.ASCII)
_LEAST_WEIGHT: Final = 10
_GREATEST_WEIGHT: Final = 1000
_LEAST_CPUS: Final = 0.01
_MOST_CPUS: Final = 1_000_000.0
DEFAULT_NOFILE: Final = Rlimit("RLIMIT_NOFILE", hard=524_288, soft=1_024)
"""What systemd gives to services, and dockerd to its containers, on a current Debian."""
_ALLOWED: Final = (
    DeviceRule(allow=False, access="rwm"),
    DeviceRule(allow=True, type="c", access="m"),
    DeviceRule(allow=True, type="b", access="m"),
    *(
        DeviceRule(allow=True, type="c", major=major, minor=minor, access="rwm")
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
    ),
    DeviceRule(allow=True, type="c", major=136, access="rwm"),
)
"""Nodes may be made; used may be null, zero, full, random, urandom, tty, console, ptmx, pts."""


def resources(options: RunOptions) -> Resources:
    """The limits asked for; raises `InvalidRequest` naming the flag."""
    everything = (DeviceRule(allow=True, access="rwm"),)
    return Resources(
        devices=everything if options.privileged else _ALLOWED,
        memory=_memory(options),
        cpu=_cpu(options),
        pids=_pids(options),
        block_io=_block_io(options),
    )


def rlimits(options: RunOptions) -> tuple[Rlimit, ...]:
    """The rlimits asked for, and the default for open files."""
    asked = {limit.type: limit for limit in map(_rlimit, options.ulimits)}
    return tuple(({DEFAULT_NOFILE.type: DEFAULT_NOFILE} | asked).values())


def shm_bytes(options: RunOptions) -> int:
    """Size of /dev/shm; raises `InvalidRequest` for a negative one."""
    value = size("shm-size", options.shm_size or "64m")
    if value < 0:
        raise bad("shm-size", options.shm_size, "it is negative")
    return value or 64 << 20


def _memory(options: RunOptions) -> Memory | None:
    limit = size("memory", options.memory or "0")
    swap = size("memory-swap", options.memory_swap or "0")
    reservation = size("memory-reservation", options.memory_reservation or "0")
    if limit < 0:
        limit = 0
    check_docker_minimum(limit)
    if swap > 0 and not limit:
        raise bad("memory-swap", options.memory_swap, "it needs --memory beside it")
    if 0 < swap < limit:
        raise bad("memory-swap", options.memory_swap, "it must not be smaller than --memory")
    if limit and reservation > limit:
        raise bad(
            "memory-reservation", options.memory_reservation, "it must not be larger than --memory"
        )
    if not (limit or swap or reservation):
        return None
    return Memory(limit=limit or None, swap=swap or None, reservation=reservation or None)


def _cpu(options: RunOptions) -> Cpu | None:
    count = decimal("cpus", options.cpus or "0")
    shares = integer("cpu-shares", options.cpu_shares or "0")
    if count and not _LEAST_CPUS <= count <= _MOST_CPUS:
        raise bad("cpus", options.cpus, f"it is not {_LEAST_CPUS} or more, nor 0 for no limit")
    if shares < 0:
        raise bad("cpu-shares", options.cpu_shares, "it is negative")
    for flag, text in (("cpuset-cpus", options.cpuset_cpus), ("cpuset-mems", options.cpuset_mems)):
        if text and not _CPUSET.fullmatch(text):
            raise bad(flag, text, "it is no list of numbers", hint="write 0-3 or 0,2")
    quota, period = _bandwidth(options, count)
    found = Cpu(
        shares=shares or None,
        quota=quota,
        period=period,
        cpus=options.cpuset_cpus,
        mems=options.cpuset_mems,
    )
    return found if found != Cpu() else None


def _bandwidth(options: RunOptions, count: float) -> tuple[int | None, int | None]:
    """Quota and period: from a number of CPUs, or as given."""
    quota = integer("cpu-quota", options.cpu_quota or "0")
    period = integer("cpu-period", options.cpu_period or "0")
    if count and (quota or period):
        raise bad("cpus", options.cpus, "it excludes --cpu-quota and --cpu-period")
    if count:
        return round(count * _PERIOD_US), _PERIOD_US
    return quota or None, period or None


def _block_io(options: RunOptions) -> BlockIo | None:
    weight = integer("blkio-weight", options.blkio_weight or "0")
    if weight and not _LEAST_WEIGHT <= weight <= _GREATEST_WEIGHT:
        raise bad("blkio-weight", options.blkio_weight, "it is not between 10 and 1000")
    return BlockIo(weight=weight) if weight else None


def _pids(options: RunOptions) -> Pids | None:
    limit = integer("pids-limit", options.pids_limit or "0")
    return Pids(limit) if limit > 0 else None


def _rlimit(text: str) -> Rlimit:
    """`NAME=SOFT[:HARD]`, -1 for unlimited."""
    name, equals, values = text.partition("=")
    kind = f"RLIMIT_{name.strip().upper()}"
    if not equals or kind not in RLIMITS:
        raise bad("ulimit", text, "unknown limit", hint="write nofile=1024:2048; see setrlimit(2)")
    soft_text, colon, hard_text = values.partition(":")
    soft = _limit_value(text, soft_text)
    hard = _limit_value(text, hard_text) if colon else soft
    if soft > hard:
        raise bad("ulimit", text, "the soft limit must not be larger than the hard limit")
    return Rlimit(kind, hard=hard, soft=soft)


def _limit_value(whole: str, text: str) -> int:
    if text in {"-1", "unlimited"}:
        return UNLIMITED
    if not text.isdecimal() or not text.isascii() or len(text) > 19:
        raise bad("ulimit", whole, f"{text[:40]!r} is no limit")
    return int(text)
