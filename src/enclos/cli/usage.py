"""What a container uses, computed as docker computes it from cgroup v2 files.

The files come from the guest: nothing in them is believed to be well-formed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enclos.cli import wording
from enclos.cli.lookup import SHORT, Container
from enclos.cli.output import Columns
from enclos.plan import guestfigures
from enclos.plan.guestfigures import number, table
from enclos.structs import dataclass

COLUMNS: Final = Columns(
    headings={
        "ID": "CONTAINER ID",
        "Name": "NAME",
        "CPUPerc": "CPU %",
        "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %",
        "NetIO": "NET I/O",
        "BlockIO": "BLOCK I/O",
        "PIDs": "PIDS",
        "Container": "CONTAINER",
        "MemBytes": "MEM BYTES",
        "CPUNanoseconds": "CPU NS",
    },
    shown=("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
)


@dataclass(frozen=True, slots=True)
class Usage:
    """One sample: the files by name, empty for a container that does not run."""

    container: Container
    files: Mapping[str, str]
    time_ns: int


def row(now: Usage, before: Usage | None, *, truncate: bool) -> dict[str, object]:
    """The fields of one container; CPU since the sample `before`."""
    container = now.container
    used, limit = _memory_used(now.files), number(now.files, "memory.max")
    received, sent = _network(now.files)
    read, written = _block_io(now.files)
    return {
        "ID": container.id[:SHORT] if truncate else container.id,
        "Container": container.id,
        "Name": container.name,
        "CPUPerc": f"{_cpu_percent(now, before):.2f}%",
        "MemUsage": f"{wording.binary_size(used)} / {_limit(now, limit)}",
        "MemPerc": f"{100 * used / limit if limit else 0:.2f}%",
        "NetIO": f"{wording.decimal_size(received)} / {wording.decimal_size(sent)}",
        "BlockIO": f"{wording.decimal_size(read)} / {wording.decimal_size(written)}",
        "PIDs": number(now.files, "pids.current"),
        "MemBytes": used,
        "CPUNanoseconds": 1000 * table(now.files, "cpu.stat").get("usage_usec", 0),
    }


def _limit(now: Usage, limit: int) -> str:
    return wording.binary_size(limit) if limit or not now.files else "no limit"


def _memory_used(files: Mapping[str, str]) -> int:
    """Without the page cache that the kernel gives up first, as docker counts."""
    cache = table(files, "memory.stat").get("inactive_file", 0)
    return max(0, number(files, "memory.current") - cache)


def _cpu_percent(now: Usage, before: Usage | None) -> float:
    """Of one CPU: two busy ones are 200 %."""
    if before is None or not before.files or not now.files:
        return 0.0
    used = (table(now.files, "cpu.stat").get("usage_usec", 0)
            - table(before.files, "cpu.stat").get("usage_usec", 0))  # fmt: skip
    elapsed_us = (now.time_ns - before.time_ns) / 1000
    return max(0.0, 100 * used / elapsed_us) if elapsed_us > 0 else 0.0


def _network(files: Mapping[str, str]) -> tuple[int, int]:
    """Bytes received and sent."""
    found = list(guestfigures.interfaces(files))
    return sum(one.received_bytes for one in found), sum(one.sent_bytes for one in found)


def _block_io(files: Mapping[str, str]) -> tuple[int, int]:
    tables = [table for _, _, table in guestfigures.devices(files)]
    return sum(one.get("rbytes", 0) for one in tables), sum(one.get("wbytes", 0) for one in tables)
