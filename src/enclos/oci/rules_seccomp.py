"""Rules about `linux.seccomp`: every word in it must be known."""

from __future__ import annotations

from typing import Final

from enclos.oci.complaint import check_known, refusal
from enclos.oci.names import (
    SECCOMP_ACTIONS,
    SECCOMP_ARCHITECTURES,
    SECCOMP_FLAGS,
    SECCOMP_OPERATORS,
)
from enclos.oci.seccomp import Seccomp, SyscallRule

_WITH_ERRNO: Final = frozenset({"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"})
_MAX_ERRNO: Final = 4095
_MAX_ARGUMENTS: Final = 6


def check_seccomp(seccomp: Seccomp) -> None:
    """Raises `InvalidRequest` naming the first member that makes no sense."""
    where = "linux.seccomp"
    check_known(f"{where}.defaultAction", seccomp.default_action, SECCOMP_ACTIONS, what="action")
    _check_errno(f"{where}.defaultErrnoRet", seccomp.default_errno_ret, seccomp.default_action)
    for at, name in enumerate(seccomp.architectures):
        check_known(
            f"{where}.architectures[{at}]", name, SECCOMP_ARCHITECTURES, what="architecture"
        )
    for at, flag in enumerate(seccomp.flags):
        check_known(f"{where}.flags[{at}]", flag, SECCOMP_FLAGS, what="flag")
    if seccomp.listener_metadata and not seccomp.listener_path:
        wrong = "metadata without a listener"
        raise refusal(f"{where}.listenerMetadata", wrong, "set listenerPath, or remove it")
    for at, rule in enumerate(seccomp.syscalls):
        _check_rule(f"{where}.syscalls[{at}]", rule)


def _check_rule(where: str, rule: SyscallRule) -> None:
    if not rule.names or not all(rule.names):
        raise refusal(f"{where}.names", "no system call is named", "name one at least")
    check_known(f"{where}.action", rule.action, SECCOMP_ACTIONS, what="action")
    _check_errno(f"{where}.errnoRet", rule.errno_ret, rule.action)
    for at, argument in enumerate(rule.args):
        check_known(f"{where}.args[{at}].op", argument.op, SECCOMP_OPERATORS, what="operator")
        if argument.index >= _MAX_ARGUMENTS:
            wrong = f"a system call has no argument {argument.index}"
            raise refusal(f"{where}.args[{at}].index", wrong, "use 0 to 5")


def _check_errno(member: str, number: int | None, action: str) -> None:
    if number is None:
        return
    if number and action not in _WITH_ERRNO:
        raise refusal(member, f"{action} returns no error number", "remove it")
    if number > _MAX_ERRNO:
        raise refusal(member, f"{number} is no error number", f"use 0 to {_MAX_ERRNO}")
