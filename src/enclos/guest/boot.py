"""What PID 1 owes the machine before it serves: root, mounts, modules, cgroups, loopback.

pivot_root, which crun needs, is refused on the initramfs itself: so `/` is bound on itself and
that mount moved over it (decision 13). User namespaces want the same.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from typing import Final

from enclos.errors import GuestFailed
from enclos.guest import limits, modules, netns
from enclos.guest.records import CGROUPS, PARENT
from enclos.linux import libc
from enclos.wire.places import PORT_NAME

_STAGE: Final = "/run"
_PORTS: Final = "/sys/class/virtio-ports"
_STRICT: Final = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1

# The second procfs stays bare: in a user namespace the kernel lets only those mount one who
# see all of another, and the boot id's file is bound into the first.
_MOUNTS: Final = (
    ("proc", "/proc", "proc", _STRICT, ""),
    ("sysfs", "/sys", "sysfs", _STRICT, ""),
    ("dev", "/dev", "devtmpfs", libc.MS_NOSUID, "mode=0755"),
    ("devpts", "/dev/pts", "devpts", libc.MS_NOSUID | libc.MS_NOEXEC,
     "mode=0620,gid=5,ptmxmode=0666"),
    ("shm", "/dev/shm", "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=1777"),
    ("mqueue", "/dev/mqueue", "mqueue", _STRICT, ""),
    ("run", "/run", "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755"),
    ("proc", "/run/proc", "proc", _STRICT, ""),
    ("tmp", "/tmp", "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=1777"),
    ("cgroup2", CGROUPS, "cgroup2", _STRICT, "nsdelegate,memory_recursiveprot"),
)  # fmt: skip


def prepare() -> None:
    """Everything up to the point where the port can be opened."""
    os.umask(0o022)
    _leave_initramfs()
    for source, target, kind, flags, data in _MOUNTS:
        os.makedirs(target, exist_ok=True)
        libc.mount(source, target, kind, flags, data)
    _links()
    libc.mount("", "/", "", libc.MS_REC | libc.MS_SHARED, "")
    os.makedirs("/run/enclos/containers", mode=0o700)
    modules.load_for_boot()
    _prepare_cgroups()
    limits.lift()
    _loopback_up()
    netns.prepare()


def open_port() -> int:
    """The agent's virtio-serial port, not blocking."""
    for entry in sorted(os.listdir(_PORTS)):
        with open(f"{_PORTS}/{entry}/name", encoding="ascii") as file:
            if file.read().strip() == PORT_NAME:
                return os.open(f"/dev/{entry}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    raise GuestFailed(f"this machine has no port called {PORT_NAME}")


def _leave_initramfs() -> None:
    libc.mount("/", _STAGE, "", libc.MS_BIND, "")
    os.chdir(_STAGE)
    libc.mount(".", "/", "", libc.MS_MOVE, "")
    os.chroot(".")
    os.chdir("/")


def _links() -> None:
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")


def _prepare_cgroups() -> None:
    """Processes of the machine itself live beside the containers, never above them."""
    for name in ("init", PARENT):
        os.makedirs(f"{CGROUPS}/{name}", exist_ok=True)
    with open(f"{CGROUPS}/init/cgroup.procs", "w", encoding="ascii") as file:
        file.write("1")
    with open(f"{CGROUPS}/cgroup.controllers", encoding="ascii") as file:
        controllers = file.read().split()
    for directory in (CGROUPS, f"{CGROUPS}/{PARENT}"):
        for controller in controllers:
            limits.write(f"{directory}/cgroup.subtree_control", f"+{controller}")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
