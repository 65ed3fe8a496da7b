"""`delete`: clean up after a task from what is written down, whether its shim lives or not.

containerd calls it after every end, and its client waits. Mostly the task's Delete has left
nothing to do: then nothing is imported that could.
"""

from __future__ import annotations

import _socket
import os
import sys
import time

from enclos.shim import where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from enclos.shim.parse import Invocation

_KILLED: Final = 137
"""How something has ended of which nothing is written down: as by SIGKILL."""
_CONNECT_S: Final = 1
_MAX_BYTES: Final = 1024
_ESCAPED: Final = " \t\n\\"
"""Characters that the table of mounts writes in another way."""


def run(call: Invocation) -> int:
    """Print a serialized DeleteResponse."""
    if _is_done(call):
        sys.stdout.buffer.write(answer(_KILLED, time.time_ns()))
        return 0
    from enclos.shim import cleaning

    return cleaning.run(call)


def _is_done(call: Invocation) -> bool:
    """Whether there is nothing of it: records, a machine, mounts, a socket.

    A pod without a container of its own, which has no specification, may have left others.
    """
    name, bundle = call.texts["id"], call.texts["bundle"]
    if not name or "/" in name or not bundle or set(bundle) & set(_ESCAPED):
        return False
    directory = where.directory(call)
    kept = (f"{directory}/containers/{name}", f"{directory}/sandboxes/{name}")
    if any(map(os.path.lexists, kept)) or not os.path.exists(f"{bundle}/{where.SPEC}"):
        return False
    return not _is_mounted(f"{bundle}/{where.ROOTFS}") and not _is_orphaned(
        f"{bundle}/{where.ADDRESS}"
    )


def _is_mounted(path: str) -> bool:
    with open("/proc/self/mountinfo", "rb") as table:
        return os.fsencode(f" {path}") in table.read()


def _is_orphaned(file: str) -> bool:
    """Whether the socket is there whose address the file has, and nobody is seen to serve it."""
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    probe.settimeout(_CONNECT_S)
    try:
        with open(file, "rb") as opened:
            probe.connect(opened.read(_MAX_BYTES).strip().removeprefix(b"unix://"))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    finally:
        probe.close()
    return False


def answer(status: int, time_ns: int) -> bytes:
    """A DeleteResponse without a pid, as protobuf would write it, whose import takes longer than
    all else here: `exit_status` is its member 2, `exited_at` its member 3."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = b"\x08" + _number(seconds) + b"\x10" + _number(nanoseconds)
    return b"\x10" + _number(status) + b"\x1a" + bytes([len(moment)]) + moment


def _number(value: int) -> bytes:
    """A varint: seven bits a byte, the lowest first, all but the last one marked."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
