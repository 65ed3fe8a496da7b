"""Limits that the kernel derives from the memory at boot, set for what the machine may become.

A guest boots with little memory and gets the rest later; what containers inherit and share must
not stay that of the little one.
"""

from __future__ import annotations

import mmap
import os
import resource
from typing import Final

from enclos.guest import console

_FILES: Final = 1 << 20
"""As docker's daemon gives its containers; their specs may say otherwise."""
_PENDING: Final = 1 << 17
_NAMESPACES: Final = "/proc/sys/user"

_SYSCTLS: Final = (
    ("kernel/panic", "-1"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/threads-max", "1000000"),
    ("kernel/pid_max", "4194304"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
    ("fs/file-max", "9223372036854775807"),
    ("fs/inotify/max_user_instances", "8192"),
    ("fs/inotify/max_user_watches", "524288"),
    ("vm/max_map_count", "262144"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
)


def lift() -> None:
    """Once, at boot."""
    for name, value in _SYSCTLS:
        write(f"/proc/sys/{name}", value)
    for name in os.listdir(_NAMESPACES):
        if name.endswith("_namespaces"):
            write(f"{_NAMESPACES}/{name}", "65536")
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_NPROC, unlimited)
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (_PENDING, _PENDING))


def scale(memory_bytes: int) -> None:
    """Let sockets use the shares of memory that the kernel gives them at boot."""
    pages = memory_bytes // mmap.PAGESIZE
    for name, share in (("tcp_mem", 16), ("udp_mem", 8)):
        limit = max(pages // share, 128)
        low = limit // 4 * 3
        write(f"/proc/sys/net/ipv4/{name}", f"{low} {limit} {low * 2}")


def write(path: str, value: str) -> None:
    """Set a knob; one that this kernel lacks or refuses is said on the console."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        console.say(f"cannot write {value} to {path}: {error.strerror}")
