"""Rules about `linux.resources`. What can be known without looking at a host, no more.

The least memory is docker's business, not the specification's: runc takes 1 KiB, and so does
this (the container then dies of it).
"""

from __future__ import annotations

import re
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.resources import BlockIo, Cpu, DeviceRule, Memory, Resources

_CPU_LIST: Final = re.compile(r"\s*\d+(-\d+)?(\s*,\s*\d+(-\d+)?)*\s*")
_PAGE_SIZE: Final = re.compile(r"[1-9]\d*(KB|MB|GB)")
_LEAST_PERIOD_US: Final = 1_000
_GREATEST_PERIOD_US: Final = 1_000_000


def check_resources(resources: Resources, *, where: str = "linux.resources") -> None:
    """Raises `InvalidRequest` naming the first member that makes no sense."""
    for at, rule in enumerate(resources.devices):
        _check_rule(f"{where}.devices[{at}]", rule)
    if resources.memory is not None:
        _check_memory(f"{where}.memory", resources.memory)
    if resources.cpu is not None:
        _check_cpu(f"{where}.cpu", resources.cpu)
    if resources.block_io is not None:
        _check_block_io(f"{where}.blockIO", resources.block_io)
    for at, limit in enumerate(resources.hugepage_limits):
        if not _PAGE_SIZE.fullmatch(limit.page_size):
            wrong = f"{limit.page_size[:80]!r} is no page size"
            raise refusal(f"{where}.hugepageLimits[{at}].pageSize", wrong, "write it as 2MB")
    for name in resources.unified:
        if "/" in name or "." not in name:
            wrong = f"{name[:80]!r} is no file of a cgroup"
            raise refusal(f"{where}.unified", wrong, "name a file such as memory.high")


def cpu_list(text: str) -> frozenset[int]:
    """The numbers that `text` (such as `0-3,7`) names; it must be well-formed."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def _check_rule(where: str, rule: DeviceRule) -> None:
    if rule.type not in {"", "a", "b", "c"}:
        wrong = f"unknown device type {rule.type[:80]!r}"
        raise refusal(f"{where}.type", wrong, "use one of: a b c")
    if set(rule.access) - set("rwm"):
        wrong = f"unknown access {rule.access[:80]!r}"
        raise refusal(f"{where}.access", wrong, "use the letters r, w and m")
    for member, number in (("major", rule.major), ("minor", rule.minor)):
        if number is not None and number < -1:
            raise refusal(f"{where}.{member}", f"{number} is no device number", "-1 means all")


def _check_memory(where: str, memory: Memory) -> None:
    sizes = {
        "limit": memory.limit,
        "reservation": memory.reservation,
        "swap": memory.swap,
        "kernel": memory.kernel,
        "kernelTCP": memory.kernel_tcp,
    }
    for member, size in sizes.items():
        if size is not None and size < -1:
            raise refusal(f"{where}.{member}", f"{size} is no size", "-1 means unlimited")
    if memory.swap is not None and memory.swap > 0:
        if memory.limit is None or memory.limit <= 0:
            wrong = "unable to set swap limit without memory limit"
            raise refusal(f"{where}.swap", wrong, "set limit as well")
        if memory.swap < memory.limit:
            wrong = "memory+swap limit should be >= memory limit"
            raise refusal(f"{where}.swap", wrong, "it counts memory and swap together")
    if memory.swappiness is not None and memory.swappiness > 100:
        _check_unset("swappiness", where, memory.swappiness)


def _check_unset(member: str, where: str, value: int) -> None:
    """Docker and others write -1 as an unsigned number for "not set"."""
    if value != 2**64 - 1:
        raise refusal(f"{where}.{member}", f"{value} is over 100", "use 0 to 100")


def _check_cpu(where: str, cpu: Cpu) -> None:
    for member, text in (("cpus", cpu.cpus), ("mems", cpu.mems)):
        if text and not is_cpu_list(text):
            raise refusal(f"{where}.{member}", f"{text[:80]!r} is no list", "write it as 0-3,7")
    if cpu.period and not _LEAST_PERIOD_US <= cpu.period <= _GREATEST_PERIOD_US:
        wrong = f"{cpu.period} µs are not between 1 ms and 1 s"
        raise refusal(f"{where}.period", wrong, "use 100000, the kernel's default")
    if cpu.quota is not None and 0 < cpu.quota < _LEAST_PERIOD_US:
        raise refusal(f"{where}.quota", f"{cpu.quota} µs are under 1 ms", "use 1000 or more")
    if cpu.idle is not None and cpu.idle not in {0, 1}:
        raise refusal(f"{where}.idle", f"{cpu.idle} is neither 0 nor 1", "1 means idle")


def is_cpu_list(text: str) -> bool:
    """Whether `cpu_list` can read `text`."""
    if not _CPU_LIST.fullmatch(text) or len(text) > 4096:
        return False
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if int(first) > int(last or first) or int(last or first) >= 2**16:
            return False
    return True


def _check_block_io(where: str, block_io: BlockIo) -> None:
    weights = [block_io.weight, *(one.weight for one in block_io.weight_device)]
    for weight in weights:
        if weight is not None and weight and not 10 <= weight <= 1000:
            raise refusal(f"{where}.weight", f"{weight} is no weight", "use 10 to 1000")
