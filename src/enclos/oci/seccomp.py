"""Types of `linux.seccomp`: which system calls a container may make."""

from __future__ import annotations

from enclos.oci.codec import U32, U64, Extensible
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class SyscallArgument(Extensible):
    """A condition on one argument of a system call."""

    index: U32 = 0
    value: U64 = 0
    value_two: U64 = 0
    op: str = ""


@dataclass(frozen=True, slots=True)
class SyscallRule(Extensible):
    """What to do when one of `names` is called."""

    names: tuple[str, ...] = ()
    action: str = ""
    errno_ret: U32 | None = None
    args: tuple[SyscallArgument, ...] = ()


@dataclass(frozen=True, slots=True)
class Seccomp(Extensible):
    """The whole filter."""

    default_action: str = ""
    default_errno_ret: U32 | None = None
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[SyscallRule, ...] = ()
