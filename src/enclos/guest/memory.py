"""Makes a machine small before it becomes a template: what is free becomes zero.

Whatever once was in use would lie in the template's file for ever. So everything free is taken
piece by piece, which zeroes it, and given back. The last few megabytes are left alone, and a
child does the taking: what is free may still be of no use to a process (other zones keep some
for themselves), and for want of memory the kernel kills a child, but panics over PID 1.
"""

from __future__ import annotations

import gc
import mmap
import os
from collections import deque
from collections.abc import Iterator
from typing import Final, NoReturn

from enclos import structs
from enclos.errors import GuestFailed
from enclos.guest.agent import Agent
from enclos.wire.messages import Nothing, Trimmed

_SPARE_BYTES: Final = 3 << 20
_PIECE_BYTES: Final = 1 << 20
_CHILDS_BYTES: Final = 4 << 20
"""More than a child leaves behind that is not zero; what was freed last is given out first."""
_LOW_WATER_KB: Final = "512"
_MAP_NORESERVE: Final = 0x4000
_MADV_POPULATE_WRITE: Final = 23
_VM: Final = "/proc/sys/vm"
_SLABS: Final = "/sys/kernel/slab"
_COUNT_BYTES: Final = 8
_KILLED: Final = 137


async def trim(agent: Agent, _: Nothing) -> Trimmed:
    """Make what every clone would have to, drop what can be read again, zero what is free."""
    structs.complete()  # once, and not in every clone
    os.sync()
    gc.collect()
    gc.freeze()
    _write(f"{_VM}/drop_caches", "3")
    _shrink_slabs()
    zeroed = await _zero(agent)
    return Trimmed(zeroed, figure("MemTotal") - zeroed)


def _shrink_slabs() -> None:
    """Give back pages of the kernel's caches that hold nothing any more."""
    if os.path.isdir(_SLABS):
        for name in os.listdir(_SLABS):
            if not os.path.islink(f"{_SLABS}/{name}"):
                _write(f"{_SLABS}/{name}/shrink", "1")


async def _zero(agent: Agent) -> int:
    """How many bytes were zeroed."""
    with open(f"{_VM}/min_free_kbytes", encoding="ascii") as file:
        usual = file.read().strip()
    _write(f"{_VM}/min_free_kbytes", _LOW_WATER_KB)
    try:
        with mmap.mmap(-1, mmap.PAGESIZE) as count:
            child = os.fork()
            if child == 0:
                _become_taker(count)
            status = await agent.reaper.ended(child)
            if status not in (0, _KILLED):
                raise GuestFailed(f"cannot take what memory is free: status {status}")
            deque(_taken(_CHILDS_BYTES), maxlen=0)
            return int.from_bytes(count[:_COUNT_BYTES], "little")
    finally:
        _write(f"{_VM}/min_free_kbytes", usual)


def _become_taker(count: mmap.mmap) -> NoReturn:
    """The child's whole life: `count`, which is shared, tells how far it came."""
    status = 1
    try:
        _write("/proc/self/oom_score_adj", "1000")
        for taken in _taken(figure("MemFree") & -_PIECE_BYTES):
            count[:_COUNT_BYTES] = taken.to_bytes(_COUNT_BYTES, "little")
        status = 0
    finally:
        os._exit(status)


def _taken(size: int) -> Iterator[int]:
    """Touch up to `size` bytes of fresh memory; after each piece, how many were touched."""
    if not size:
        return
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    with mmap.mmap(-1, size, flags=flags) as region:
        for start in range(0, size, _PIECE_BYTES):
            if figure("MemFree") <= _SPARE_BYTES + _PIECE_BYTES:
                return
            region.madvise(_MADV_POPULATE_WRITE, start, _PIECE_BYTES)
            yield start + _PIECE_BYTES


def figure(name: str) -> int:
    """A line of /proc/meminfo in bytes; 0 if there is none."""
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0]) * 1024
    return 0


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)
