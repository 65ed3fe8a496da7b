"""A container's figures as containerd's clients read them: of version 1 or 2 of control groups.

PURE. Which one is wanted depends on the host; the figures are the guest's, where it is always
version 2. Where version 1 has a figure that version 2 lacks, it is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import Message

from enclos.plan import guestfigures
from enclos.plan.guestfigures import MOST, Files, Interface
from enclos.shim.proto import metrics1_pb2, metrics2_pb2

_US: Final = 1000
_MEMORY_2: Final = (
    "anon file kernel_stack slab sock shmem file_mapped file_dirty file_writeback anon_thp "
    "inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable "
    "slab_unreclaimable pgfault pgmajfault workingset_nodereclaim pgrefill pgscan pgsteal "
    "pgactivate pgdeactivate pglazyfree pglazyfreed thp_fault_alloc thp_collapse_alloc"
).split()
_MEMORY_1: Final = {
    "cache": "file",
    "rss": "anon",
    "rss_huge": "anon_thp",
    "mapped_file": "file_mapped",
    "dirty": "file_dirty",
    "writeback": "file_writeback",
    "pg_fault": "pgfault",
    "pg_maj_fault": "pgmajfault",
    "inactive_anon": "inactive_anon",
    "active_anon": "active_anon",
    "inactive_file": "inactive_file",
    "active_file": "active_file",
    "unevictable": "unevictable",
}
"""Version 1's word for version 2's; the same again with `total_` for all below."""


def version2(files: Files) -> metrics2_pb2.Metrics:
    """For a host with version 2."""
    cpu, memory = guestfigures.table(files, "cpu.stat"), guestfigures.table(files, "memory.stat")
    events = guestfigures.table(files, "memory.events")
    return metrics2_pb2.Metrics(
        pids=metrics2_pb2.PidsStat(
            current=guestfigures.number(files, "pids.current"),
            limit=guestfigures.number(files, "pids.max"),
        ),
        cpu=metrics2_pb2.CPUStat(
            usage_usec=cpu.get("usage_usec", 0),
            user_usec=cpu.get("user_usec", 0),
            system_usec=cpu.get("system_usec", 0),
            nr_periods=cpu.get("nr_periods", 0),
            nr_throttled=cpu.get("nr_throttled", 0),
            throttled_usec=cpu.get("throttled_usec", 0),
        ),
        memory=metrics2_pb2.MemoryStat(
            **{name: memory.get(name, 0) for name in _MEMORY_2},
            usage=guestfigures.number(files, "memory.current"),
            usage_limit=guestfigures.number(files, "memory.max", unlimited=MOST),
            swap_usage=guestfigures.number(files, "memory.swap.current"),
            swap_limit=guestfigures.number(files, "memory.swap.max", unlimited=MOST),
        ),
        memory_events=metrics2_pb2.MemoryEvents(
            low=events.get("low", 0),
            high=events.get("high", 0),
            max=events.get("max", 0),
            oom=events.get("oom", 0),
            oom_kill=events.get("oom_kill", 0),
        ),
        io=metrics2_pb2.IOStat(usage=list(_io_2(files))),
        network=[
            metrics2_pb2.NetworkStat(name=one.name, **_counts(one))
            for one in guestfigures.interfaces(files)
        ],
    )


def version1(files: Files) -> metrics1_pb2.Metrics:
    """For a host with version 1, hybrid or not. Every part is there: some clients look no twice."""
    cpu, events = guestfigures.table(files, "cpu.stat"), guestfigures.table(files, "memory.events")
    return metrics1_pb2.Metrics(
        pids=metrics1_pb2.PidsStat(
            current=guestfigures.number(files, "pids.current"),
            limit=guestfigures.number(files, "pids.max"),
        ),
        cpu=metrics1_pb2.CPUStat(
            usage=metrics1_pb2.CPUUsage(
                total=_ns(cpu, "usage_usec"),
                kernel=_ns(cpu, "system_usec"),
                user=_ns(cpu, "user_usec"),
            ),
            throttling=metrics1_pb2.Throttle(
                periods=cpu.get("nr_periods", 0),
                throttled_periods=cpu.get("nr_throttled", 0),
                throttled_time=_ns(cpu, "throttled_usec"),
            ),
        ),
        memory=_memory_1(files),
        memory_oom_control=metrics1_pb2.MemoryOomControl(oom_kill=events.get("oom_kill", 0)),
        blkio=_io_1(files),
        network=[
            metrics1_pb2.NetworkStat(name=one.name, **_counts(one))
            for one in guestfigures.interfaces(files)
        ],
    )


def _memory_1(files: Files) -> metrics1_pb2.MemoryStat:
    table = guestfigures.table(files, "memory.stat")
    named = {name: table.get(theirs, 0) for name, theirs in _MEMORY_1.items()}
    total = {f"total_{name}": value for name, value in named.items()}
    limit = guestfigures.number(files, "memory.max", unlimited=MOST)
    events = guestfigures.table(files, "memory.events")
    return metrics1_pb2.MemoryStat(
        **named,
        **total,
        hierarchical_memory_limit=limit,
        usage=metrics1_pb2.MemoryEntry(
            limit=limit,
            usage=guestfigures.number(files, "memory.current"),
            max=guestfigures.number(files, "memory.peak"),
            failcnt=events.get("max", 0),
        ),
        swap=metrics1_pb2.MemoryEntry(
            limit=guestfigures.number(files, "memory.swap.max", unlimited=MOST),
            usage=guestfigures.number(files, "memory.swap.current"),
        ),
        kernel=metrics1_pb2.MemoryEntry(usage=table.get("kernel", 0)),
        kernel_tcp=metrics1_pb2.MemoryEntry(usage=table.get("sock", 0)),
    )


def _ns(table: dict[str, int], name: str) -> int:
    return min(table.get(name, 0) * _US, MOST)


def _io_2(files: Files) -> Iterable[metrics2_pb2.IOEntry]:
    for major, minor, counts in guestfigures.devices(files):
        yield metrics2_pb2.IOEntry(
            major=major,
            minor=minor,
            rbytes=counts.get("rbytes", 0),
            wbytes=counts.get("wbytes", 0),
            rios=counts.get("rios", 0),
            wios=counts.get("wios", 0),
        )


def _io_1(files: Files) -> metrics1_pb2.BlkIOStat:
    found = metrics1_pb2.BlkIOStat()
    rows = (
        (found.io_service_bytes_recursive, {"Read": "rbytes", "Write": "wbytes"}),
        (found.io_serviced_recursive, {"Read": "rios", "Write": "wios"}),
    )
    for major, minor, counts in guestfigures.devices(files):
        for entries, words in rows:
            for word, key in words.items():
                entries.add(op=word, major=major, minor=minor, value=counts.get(key, 0))
    return found


def _counts(one: Interface) -> dict[str, int]:
    return {
        "rx_bytes": one.received_bytes,
        "rx_packets": one.received_packets,
        "rx_errors": one.received_errors,
        "rx_dropped": one.received_dropped,
        "tx_bytes": one.sent_bytes,
        "tx_packets": one.sent_packets,
        "tx_errors": one.sent_errors,
        "tx_dropped": one.sent_dropped,
    }


def total(kind: type[Message], parts: Iterable[Message]) -> Message:
    """The sums of figures of one form, one by one; what is listed by name is left out.

    A figure that says there is no limit stays one.
    """
    out = kind()
    for part in parts:
        _add(out, part)
    return out


def _add(out: Message, part: Message) -> None:
    for member, value in part.ListFields():
        if member.is_repeated:
            continue
        if member.message_type is not None:
            _add(getattr(out, member.name), value)
        else:
            setattr(out, member.name, min(getattr(out, member.name) + value, MOST))
