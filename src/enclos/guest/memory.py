"""Makes a machine small before it becomes a template: what is free becomes zero.

Whatever once was in use would lie in the template's file for ever. So everything free is taken
piece by piece, which zeroes it, and given back. Only the last few megabytes are left alone: this
process cannot be killed for want of memory, the kernel would panic.
"""

from __future__ import annotations

import gc
import mmap
import os
from typing import Final

from enclos import structs
from enclos.guest.agent import Agent
from enclos.wire.messages import Nothing, Trimmed

_SPARE_BYTES: Final = 3 << 20
_PIECE_BYTES: Final = 1 << 20
_LOW_WATER_KB: Final = "512"
_MAP_NORESERVE: Final = 0x4000
_MADV_POPULATE_WRITE: Final = 23
_VM: Final = "/proc/sys/vm"
_SLABS: Final = "/sys/kernel/slab"


async def trim(_agent: Agent, _: Nothing) -> Trimmed:
    """Make what every clone would have to, drop what can be read again, zero what is free."""
    structs.complete()  # once, and not in every clone
    os.sync()
    gc.collect()
    gc.freeze()
    _write(f"{_VM}/drop_caches", "3")
    _shrink_slabs()
    zeroed = _zero()
    return Trimmed(zeroed, figure("MemTotal") - zeroed)


def _shrink_slabs() -> None:
    """Give back pages of the kernel's caches that hold nothing any more."""
    if os.path.isdir(_SLABS):
        for name in os.listdir(_SLABS):
            if not os.path.islink(f"{_SLABS}/{name}"):
                _write(f"{_SLABS}/{name}/shrink", "1")


def _zero() -> int:
    with open(f"{_VM}/min_free_kbytes", encoding="ascii") as file:
        usual = file.read().strip()
    _write(f"{_VM}/min_free_kbytes", _LOW_WATER_KB)
    try:
        return _take(figure("MemFree") & -_PIECE_BYTES)
    finally:
        _write(f"{_VM}/min_free_kbytes", usual)


def _take(size: int) -> int:
    """Touch up to `size` bytes of fresh memory and give it back; how many were touched."""
    if not size:
        return 0
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    taken = 0
    with mmap.mmap(-1, size, flags=flags) as region:
        while taken < size and figure("MemFree") > _SPARE_BYTES + _PIECE_BYTES:
            region.madvise(_MADV_POPULATE_WRITE, taken, _PIECE_BYTES)
            taken += _PIECE_BYTES
    return taken


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
