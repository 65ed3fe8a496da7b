"""The statistics object of `events`, in the words that go-runc reads. PURE.

Sizes in bytes, times in nanoseconds; -1 or "no limit" is the largest number, as with runc.
"""

from __future__ import annotations

from typing import Any, Final

from enclos.plan import guestfigures
from enclos.plan.guestfigures import MOST, Files

_PAGE_SIZES: Final = ("2MB",)
_OPERATIONS: Final = (("Read", "r"), ("Write", "w"), ("Discard", "d"))


def stats(files: Files) -> dict[str, Any]:
    """The `data` of a `stats` event."""
    return {
        "cpu": _cpu(files),
        "cpuset": {"cpus": guestfigures.cpus(files)},
        "memory": _memory(files),
        "pids": {
            "current": guestfigures.number(files, "pids.current"),
            "limit": guestfigures.number(files, "pids.max"),
        },
        "blkio": _block_io(files),
        "hugetlb": {size: _pages(files, size) for size in _PAGE_SIZES if _has_pages(files, size)},
        "intel_rdt": {},
        "network_interfaces": [_interface(one) for one in guestfigures.interfaces(files)],
    }


def _cpu(files: Files) -> dict[str, Any]:
    table = guestfigures.table(files, "cpu.stat")
    return {
        "usage": {
            "total": 1000 * table.get("usage_usec", 0),
            "kernel": 1000 * table.get("system_usec", 0),
            "user": 1000 * table.get("user_usec", 0),
        },
        "throttling": {
            "periods": table.get("nr_periods", 0),
            "throttledPeriods": table.get("nr_throttled", 0),
            "throttledTime": 1000 * table.get("throttled_usec", 0),
        },
        **_psi(files, "cpu.pressure"),
    }


def _psi(files: Files, name: str) -> dict[str, Any]:
    """Only where the guest's kernel has it."""
    found = guestfigures.pressure(files, name)
    return {"psi": found} if found else {}


def _memory(files: Files) -> dict[str, Any]:
    raw = guestfigures.table(files, "memory.stat")
    events = guestfigures.table(files, "memory.events")
    used = guestfigures.number(files, "memory.current")
    limit = guestfigures.number(files, "memory.max", unlimited=MOST)
    swapped = guestfigures.number(files, "memory.swap.current")
    swap_limit = guestfigures.number(files, "memory.swap.max", unlimited=MOST)
    return {
        "cache": raw.get("file", 0),
        "usage": {
            "limit": limit,
            "usage": used,
            "max": guestfigures.number(files, "memory.peak"),
            "failcnt": events.get("max", 0),
        },
        "swap": {"limit": min(limit + swap_limit, MOST), "usage": used + swapped, "failcnt": 0},
        "kernel": {"limit": MOST, "usage": raw.get("kernel", 0), "failcnt": 0},
        "kernelTCP": {"limit": MOST, "usage": raw.get("sock", 0), "failcnt": 0},
        "raw": raw,
        **_psi(files, "memory.pressure"),
    }


def _block_io(files: Files) -> dict[str, Any]:
    sizes: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    for major, minor, table in guestfigures.devices(files):
        for operation, letter in _OPERATIONS:
            entry = {"major": major, "minor": minor, "op": operation}
            sizes.append(entry | {"value": table.get(f"{letter}bytes", 0)})
            counts.append(entry | {"value": table.get(f"{letter}ios", 0)})
    return {
        "ioServiceBytesRecursive": sizes,
        "ioServicedRecursive": counts,
        **_psi(files, "io.pressure"),
    }


def _has_pages(files: Files, size: str) -> bool:
    return f"hugetlb.{size}.current" in files


def _pages(files: Files, size: str) -> dict[str, int]:
    return {
        "usage": guestfigures.number(files, f"hugetlb.{size}.current"),
        "max": guestfigures.number(files, f"hugetlb.{size}.max", unlimited=MOST),
        "failcnt": guestfigures.table(files, f"hugetlb.{size}.events").get("max", 0),
    }


def _interface(one: guestfigures.Interface) -> dict[str, Any]:
    return {
        "Name": one.name,
        "RxBytes": one.received_bytes,
        "RxPackets": one.received_packets,
        "RxErrors": one.received_errors,
        "RxDropped": one.received_dropped,
        "TxBytes": one.sent_bytes,
        "TxPackets": one.sent_packets,
        "TxErrors": one.sent_errors,
        "TxDropped": one.sent_dropped,
    }
