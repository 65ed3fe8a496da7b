"""Capabilities by name: read them, and give them up for good.

Each function acts on the calling thread; call it before other threads exist.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from enclos.linux import libc

_WORDS: Final = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NUMBERS: Final = {f"CAP_{word}": number for number, word in enumerate(_WORDS.split())}
"""Every capability up to Linux 6.18 and its bit."""


def mask(names: Iterable[str]) -> int:
    """The bit mask of `names`; raises `KeyError` for one that is not a capability."""
    return sum(1 << NUMBERS[name] for name in set(names))


def names(bits: int) -> frozenset[str]:
    """The capabilities in a bit mask; bits without a name are left out."""
    return frozenset(name for name, number in NUMBERS.items() if bits >> number & 1)


def effective() -> frozenset[str]:
    """What this thread may do now."""
    return names(libc.capget()[0])


def last(file: Path = Path("/proc/sys/kernel/cap_last_cap")) -> int:
    """The highest bit that the kernel knows, which may be one without a name here."""
    return int(file.read_bytes())


def bound(keep: Iterable[str]) -> None:
    """Drop everything but `keep` from the bounding set: no program can get it back.

    Needs CAP_SETPCAP; raises `PermissionError` without.
    """
    kept = {NUMBERS[name] for name in keep}
    for number in range(64):
        if number in kept:
            continue
        try:
            libc.prctl(libc.PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return  # past the kernel's last capability
            raise


def limit(keep: Iterable[str]) -> None:
    """Let this thread have exactly `keep`, effective and permitted, none to inherit.

    Programs that uid 0 executes get what the bounding set holds: call `bound` first. Raises
    `PermissionError` for a capability that the thread does not have.
    """
    clear_ambient()
    bits = mask(keep)
    libc.capset(effective=bits, permitted=bits, inheritable=0)


def clear_ambient() -> None:
    """Empty the ambient set (Linux 4.3)."""
    libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL)


def raise_ambient(wanted: Iterable[str]) -> None:
    """Let a program executed by a uid other than 0 keep `wanted`, which must be permitted."""
    chosen = set(wanted)
    bits = mask(chosen)
    effective_bits, permitted, inheritable = libc.capget()
    libc.capset(effective=effective_bits, permitted=permitted, inheritable=inheritable | bits)
    for name in chosen:
        libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_RAISE, NUMBERS[name])
