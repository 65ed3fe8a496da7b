"""`update`: change a container's limits while it runs, by single flags or a resources object."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, NotFound
from enclos.linux import files
from enclos.oci.load import MAX_BYTES, load_resources
from enclos.oci.resources import BlockIo, Cpu, Memory, Pids, Resources
from enclos.ocicli import where
from enclos.ocicli.parse import Invocation, Values
from enclos.sandbox import update

_SIZE: Final = re.compile(r"(\d{1,18})(?:\.(\d{1,6}))?\s*([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_NUMBER: Final = re.compile(r"-?\d{1,18}", re.ASCII)


def run(call: Invocation) -> int:
    """See the table."""
    new = changes(call)
    update.update(
        where.place(call),
        call.arguments[0],
        new,
        l3_cache=call.flags.text("l3-cache-schema"),
        bandwidth=call.flags.text("mem-bw-schema"),
    )
    return 0


def changes(call: Invocation) -> Resources:
    """The limits asked for; raises `InvalidRequest` naming the flag."""
    return _read(call.flags) if call.flags.text("resources") else _single(call.flags)


def _read(flags: Values) -> Resources:
    """The object behind --resources; raises `InvalidRequest` or `NotFound`."""
    path = flags.text("resources")
    others = [name for name in _SINGLE if flags.texts(name)]
    if others:
        raise InvalidRequest(
            f"--resources and --{others[0]} exclude each other", hint="put it into the object"
        )
    if path == "-":
        return load_resources(_standard_input(), file="standard input")
    try:
        return load_resources(files.read_bounded(Path(path), MAX_BYTES), file=path)
    except FileNotFoundError as error:
        raise NotFound(f"resources file {path} not found") from error
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error}") from error


def _standard_input() -> bytes:
    """All of it; one byte more than is taken shows that it is too much."""
    data = b""
    while len(data) <= MAX_BYTES and (piece := os.read(0, 65536)):
        data += piece
    return data


def _single(flags: Values) -> Resources:
    """The limits that single flags name; raises `InvalidRequest` naming the flag."""
    if not any(flags.texts(name) for name in _SINGLE):
        raise InvalidRequest("nothing to change", hint="see: enclos-oci update --help")
    weight = _number(flags, "blkio-weight")
    pids = _number(flags, "pids-limit")
    return Resources(
        memory=_memory(flags),
        cpu=_cpu(flags),
        pids=Pids(pids) if pids is not None else None,
        block_io=BlockIo(weight=weight) if weight is not None else None,
    )


def _memory(flags: Values) -> Memory | None:
    found = Memory(
        limit=_size(flags, "memory"),
        reservation=_size(flags, "memory-reservation"),
        swap=_size(flags, "memory-swap"),
        kernel=_size(flags, "kernel-memory"),
        kernel_tcp=_size(flags, "kernel-memory-tcp"),
    )
    return found if found != Memory() else None


def _cpu(flags: Values) -> Cpu | None:
    found = Cpu(
        shares=_number(flags, "cpu-share"),
        quota=_number(flags, "cpu-quota"),
        burst=_number(flags, "cpu-burst"),
        period=_number(flags, "cpu-period"),
        realtime_runtime=_number(flags, "cpu-rt-runtime"),
        realtime_period=_number(flags, "cpu-rt-period"),
        cpus=flags.text("cpuset-cpus"),
        mems=flags.text("cpuset-mems"),
        idle=_number(flags, "cpu-idle"),
    )
    return found if found != Cpu() else None


_SIGNED: Final = frozenset({"cpu-quota", "cpu-rt-runtime", "pids-limit", "cpu-idle"})
_SINGLE: Final = (
    "blkio-weight", "cpu-period", "cpu-quota", "cpu-share", "cpu-burst", "cpu-rt-period",
    "cpu-rt-runtime", "cpuset-cpus", "cpuset-mems", "memory", "memory-reservation",
    "memory-swap", "kernel-memory", "kernel-memory-tcp", "pids-limit", "cpu-idle",
    "l3-cache-schema", "mem-bw-schema",
)  # fmt: skip


def _number(flags: Values, name: str) -> int | None:
    text = flags.text(name)
    if not text:
        return None
    value = int(text) if _NUMBER.fullmatch(text) else None
    if value is None or (value < 0 and name not in _SIGNED):
        raise InvalidRequest(f"invalid value {text[:80]!r} for --{name}", hint="use a number")
    return value


def _size(flags: Values, name: str) -> int | None:
    """Bytes, or with a unit as in 512M; -1 is unlimited."""
    text = flags.text(name)
    if not text or text == "-1":
        return -1 if text else None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            f"invalid value {text[:80]!r} for --{name}", hint="use bytes, or a size such as 512M"
        )
    whole, part, unit = found.groups()
    scale = _UNITS[unit.lower()]
    return int(whole) * scale + (int(part) * scale // 10 ** len(part) if part else 0)
