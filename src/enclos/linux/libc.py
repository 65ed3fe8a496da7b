"""Kernel interfaces that Python's `os` lacks, one function each. The only user of ctypes.

Every function raises `OSError` whose message names the call and, where there is one, the file.
The library is looked up at the first call, so importing costs next to nothing; the guest's agent
uses this file too. The new mount calls are in `mountapi`.
"""

from __future__ import annotations

import os
import sys
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from typing import Final

CLONE_NEWTIME: Final = 0x00000080
CLONE_FS: Final = 0x00000200
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_SYNCHRONOUS: Final = 16
MS_REMOUNT: Final = 32
MS_NOATIME: Final = 1024
MS_NODIRATIME: Final = 2048
MS_BIND: Final = 4096
MS_MOVE: Final = 8192
MS_REC: Final = 16384
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_RELATIME: Final = 1 << 21
MS_STRICTATIME: Final = 1 << 24
MNT_FORCE: Final = 1
MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_MM: Final = 35
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
PR_SET_MM_MAP: Final = 14
PR_SET_MM_MAP_SIZE: Final = 15

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

FALLOC_FL_KEEP_SIZE: Final = 0x01
FALLOC_FL_PUNCH_HOLE: Final = 0x02

IN_MODIFY: Final = 0x002
IN_CLOSE_WRITE: Final = 0x008
IN_MOVED_FROM: Final = 0x040
IN_MOVED_TO: Final = 0x080
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800

RB_AUTOBOOT: Final = 0x01234567
RB_HALT_SYSTEM: Final = 0xCDEF0123
RB_POWER_OFF: Final = 0x4321FEDC

RNDADDENTROPY: Final = 0x40085203
"""ioctl of /dev/urandom: bits, bytes (both int32) and data that is to be credited."""
RNDRESEEDCRNG: Final = 0x5207
"""ioctl of /dev/urandom: take the pool into use at once (since Linux 4.14)."""

_CAPABILITY_VERSION_3: Final = 0x20080522
_NUMBERS: Final[dict[str, dict[str, int]]] = {
    "x86_64": {"pivot_root": 155, "finit_module": 313},
    "aarch64": {"pivot_root": 41, "finit_module": 273},
}
_COMMON: Final = {"close_range": 436, "openat2": 437}
"""Calls added since Linux 5.1 have one number on every architecture."""


@cache
def _library() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def call(function: str, *values: int | bytes | bytearray | None, filename: str = "") -> int:
    """Call `function` of the C library; raises `OSError` if it answers -1.

    Integers go as `long`, bytes as a zero-terminated string, a bytearray as memory that the
    kernel may write to, None as NULL.
    """
    import ctypes

    def passed(value: int | bytes | bytearray | None) -> object:
        if isinstance(value, int):
            return ctypes.c_long(value)
        if isinstance(value, bytearray):
            return (ctypes.c_char * len(value)).from_buffer(value)
        return value

    entry = _library()[function]
    entry.restype = ctypes.c_long if function == "syscall" else ctypes.c_int
    answer = int(entry(*(passed(value) for value in values)))
    if answer == -1:
        raise error_of(ctypes.get_errno(), function, filename)
    return answer


def syscall(
    name: str, number: int, *values: int | bytes | bytearray | None, filename: str = ""
) -> int:
    """Make the system call `number`; raises `OSError` that calls it `name`."""
    try:
        return call("syscall", number, *values)
    except OSError as error:
        raise error_of(error.errno or 0, name, filename) from None


def error_of(code: int, function: str, filename: str = "") -> OSError:
    """The `OSError` (its subclass for `code`) that says which call failed on what."""
    message = f"{function}: {os.strerror(code)}"
    return OSError(code, message, filename) if filename else OSError(code, message)


def _number(name: str) -> int:
    known = _COMMON.get(name) or _NUMBERS.get(os.uname().machine, {}).get(name)
    if known is None:
        raise error_of(38, name)  # ENOSYS: no number known for this architecture
    return known


def mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    """mount(2): the classical call; empty strings are passed as NULL."""
    words = [os.fsencode(word) or None for word in (source, fstype, data)]
    call("mount", words[0], os.fsencode(target), words[1], flags, words[2], filename=target)


def umount2(target: str, flags: int) -> None:
    """umount2(2); `EINVAL` if `target` is not a mount point, `EBUSY` if it is in use."""
    call("umount2", os.fsencode(target), flags, filename=target)


def unshare(flags: int) -> None:
    """unshare(2) with CLONE_NEW… flags."""
    call("unshare", flags)


def setns(descriptor: int, kind: int) -> None:
    """setns(2): join the namespace (or, since 5.8, those of a pidfd) behind `descriptor`."""
    call("setns", descriptor, kind)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2); both may be "." (then unmount "." with MNT_DETACH)."""
    number = _number("pivot_root")
    paths = (os.fsencode(new_root), os.fsencode(put_old))
    syscall("pivot_root", number, *paths, filename=new_root)


def prctl(option: int, value: int | bytes | bytearray = 0, *more: int) -> int:
    """prctl(2); unused arguments are passed as zero, as newer options insist on."""
    rest = (*more, 0, 0, 0)[:3]
    return call("prctl", option, value, *rest)


def set_arguments(words: bytes) -> None:
    """Show `words`, each closed by a zero, in /proc/self/cmdline, and an empty environment.

    prctl(2) with PR_SET_MM_MAP (Linux 3.18), which needs no capability. `EINVAL` from a kernel
    built without CONFIG_CHECKPOINT_RESTORE.
    """
    import ctypes

    memory = ctypes.create_string_buffer(words, len(words))
    start = ctypes.addressof(memory)
    end = start + len(words)
    with open("/proc/self/stat", "rb") as file:
        fields = [b"", b"", b"", *file.read().rpartition(b")")[2].split()]  # as proc(5) counts
    code, data = fields[26:28], fields[45:47]
    top = _library()["sbrk"]
    top.restype = ctypes.c_void_p
    layout = [*map(int, (*code, *data, fields[47])), top(0), int(fields[28]), start, end, end, end]
    values = bytearray()
    for word in (*layout, 0):  # 0: leave the auxiliary vector as it is
        values += word.to_bytes(8, sys.byteorder)
    values += (0).to_bytes(4, sys.byteorder) + (0xFFFFFFFF).to_bytes(4, sys.byteorder)
    call("prctl", PR_SET_MM, PR_SET_MM_MAP, values, len(values), 0)
    _shown[:] = [memory]


_shown: Final[list[object]] = []
"""The kernel reads the arguments where they lie: they must stay there."""


def capset(*, effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) on this thread, each argument a bit mask (`capabilities` has the names)."""
    header = bytearray(_CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4))
    data = bytearray()
    for shift in (0, 32):
        for mask in (effective, permitted, inheritable):
            data += (mask >> shift & 0xFFFFFFFF).to_bytes(4, sys.byteorder)
    call("capset", header, data)


def capget() -> tuple[int, int, int]:
    """capget(2) of this thread: effective, permitted, inheritable as bit masks."""
    header = bytearray(_CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4))
    data = bytearray(24)
    call("capget", header, data)
    words = [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, 24, 4)]
    return words[0] | words[3] << 32, words[1] | words[4] << 32, words[2] | words[5] << 32


def reboot(how: int) -> None:
    """reboot(2) with an RB_… value; returns only on failure or in a pid namespace."""
    call("reboot", how)


def finit_module(descriptor: int, parameters: str = "", *, flags: int = 0) -> None:
    """finit_module(2): load the kernel module behind `descriptor`; `EEXIST` if it is loaded."""
    syscall("finit_module", _number("finit_module"), descriptor, parameters.encode(), flags)


def close_range(first: int, last: int) -> None:
    """close_range(2), since Linux 5.9: close every descriptor from `first` to `last`."""
    syscall("close_range", _number("close_range"), first, last, 0)


def openat2(directory: int, path: str, *, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2), since Linux 5.6, with RESOLVE_… flags; O_CLOEXEC is always on.

    `EXDEV` where the path would leave what `resolve` allows, `ELOOP` for a symbolic link where
    none is allowed, `EAGAIN` where a rename raced with a `..` (try again).
    """
    how = bytearray()
    for word in (flags | os.O_CLOEXEC, mode, resolve):
        how += word.to_bytes(8, sys.byteorder)
    number = _number("openat2")
    words = (directory, os.fsencode(path), how, len(how))
    return syscall("openat2", number, *words, filename=path)


def fallocate(descriptor: int, mode: int, *, offset: int, length: int) -> None:
    """fallocate(2); FALLOC_FL_PUNCH_HOLE needs FALLOC_FL_KEEP_SIZE beside it."""
    call("fallocate", descriptor, mode, offset, length)


def inotify_init() -> int:
    """inotify_init1(2): a descriptor, non-blocking and close-on-exec."""
    return call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)


def inotify_add_watch(descriptor: int, path: str, mask: int) -> int:
    """inotify_add_watch(2): the number of the watch on `path` for the IN_… events of `mask`."""
    return call("inotify_add_watch", descriptor, os.fsencode(path), mask, filename=path)
