"""Runs a command as on a host whose kernel has no IPv6: python3 -m tests.support.noipv6 COMMAND…

Sockets of that family are refused by the kernel, for the command and all that it starts, with the
error that such a kernel has; its settings below /proc/sys/net are not to be seen.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from pathlib import Path
from typing import Final

from enclos.linux import libc, mount

_SOCKET: Final = {"x86_64": 41, "aarch64": 198}
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _FILTER = 22, 2


def refuse() -> None:
    """Take IPv6 from this process and its children; needs root."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("", "/", "", libc.MS_REC | libc.MS_SLAVE, "")
    mount.tmpfs(Path("/proc/sys/net/ipv6"), mode=0o555)
    program = b"".join(
        struct.pack("=HBBI", *line)
        for line in (
            (_LOAD_WORD, 0, 0, _NUMBER),
            (_JUMP_IF_EQUAL, 0, 3, _SOCKET[platform.machine()]),
            (_LOAD_WORD, 0, 0, _FIRST_ARGUMENT),
            (_JUMP_IF_EQUAL, 0, 1, socket.AF_INET6),
            (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse()
    os.execvp(sys.argv[1], sys.argv[1:])
