"""Rules about a process object, of a container or of an exec."""

from __future__ import annotations

from typing import Final

from enclos.errors import InvalidRequest
from enclos.oci.complaint import check_known, duplicates, refusal
from enclos.oci.names import CAPABILITIES, IO_CLASSES, RLIMITS, SCHEDULER_FLAGS, SCHEDULERS
from enclos.oci.rules_resources import is_cpu_list
from enclos.oci.types import (
    Capabilities,
    CpuAffinity,
    IoPriority,
    Process,
    Rlimit,
    Scheduler,
)

_ONE_STRING_BYTES: Final = 32 * 4096
"""MAX_ARG_STRLEN, the closing NUL included."""
_LEAST_BYTES: Final = 128 << 10
_DEFAULT_STACK_BYTES: Final = 8 << 20
_MOST_BYTES: Final = 6 << 20
"""Three quarters of the kernel's _STK_LIM: more is refused whatever the stack's limit."""
_POINTER_BYTES: Final = 8
_IO_LEVELS: Final = 7


def check_process(process: Process, *, where: str = "process") -> None:
    """Raises `InvalidRequest` naming the first member that makes no sense."""
    if not process.args:
        raise refusal(f"{where}.args", "args must not be empty", "name the program to run")
    if not process.args[0]:
        raise refusal(f"{where}.args[0]", "an empty program name", "name the program to run")
    _check_cwd(f"{where}.cwd", process.cwd)
    _check_rlimits(f"{where}.rlimits", process.rlimits)
    _check_size(process)
    if process.capabilities is not None:
        _check_capabilities(f"{where}.capabilities", process.capabilities)
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        wrong = f"{process.oom_score_adj} is not between -1000 and 1000"
        raise refusal(f"{where}.oomScoreAdj", wrong, "see proc(5), oom_score_adj")
    if process.user.umask is not None and process.user.umask > 0o777:
        wrong = f"{process.user.umask} is no umask"
        raise refusal(f"{where}.user.umask", wrong, "use 0 to 511 (octal 777)")
    if process.scheduler is not None:
        _check_scheduler(f"{where}.scheduler", process.scheduler)
    if process.io_priority is not None:
        _check_io_priority(f"{where}.ioPriority", process.io_priority)
    if process.exec_cpu_affinity is not None:
        _check_affinity(f"{where}.execCPUAffinity", process.exec_cpu_affinity)


def _check_cwd(where: str, cwd: str) -> None:
    if not cwd:
        raise refusal(where, "Cwd property must not be empty", 'write "/"')
    if not cwd.startswith("/"):
        wrong = f"Cwd must be an absolute path, not {cwd[:80]!r}"
        raise refusal(where, wrong, "write the absolute path of a directory in the container")


def _check_size(process: Process) -> None:
    """The kernel's own limits on what execve(2) takes."""
    total = 0
    for text in (*process.args, *process.env):
        size = len(text.encode()) + 1
        total += size + _POINTER_BYTES
        if size > _ONE_STRING_BYTES:
            raise _too_long(process, f"one of {size} bytes is over {_ONE_STRING_BYTES}")
    limit = _most_bytes(process)
    if total > limit:
        raise _too_long(process, f"{total} bytes of arguments and variables are over {limit}")


def _most_bytes(process: Process) -> int:
    stacks = [limit.soft for limit in process.rlimits if limit.type == "RLIMIT_STACK"]
    stack = stacks[0] if stacks else _DEFAULT_STACK_BYTES
    return min(_MOST_BYTES, max(_LEAST_BYTES, stack // 4))


def _too_long(process: Process, found: str) -> InvalidRequest:
    return InvalidRequest(
        f"exec {process.args[0][:80]!r}: argument list too long: {found}",
        hint="pass the data in a file, or raise RLIMIT_STACK for up to 6 MiB in all",
    )


def _check_capabilities(where: str, capabilities: Capabilities) -> None:
    sets = {
        "bounding": capabilities.bounding,
        "effective": capabilities.effective,
        "inheritable": capabilities.inheritable,
        "permitted": capabilities.permitted,
        "ambient": capabilities.ambient,
    }
    for name, values in sets.items():
        for at, value in enumerate(values):
            check_known(f"{where}.{name}[{at}]", value, CAPABILITIES, what="capability")


def _check_rlimits(where: str, rlimits: tuple[Rlimit, ...]) -> None:
    for at, rlimit in enumerate(rlimits):
        check_known(f"{where}[{at}].type", rlimit.type, RLIMITS, what="rlimit")
        if rlimit.soft > rlimit.hard:
            wrong = f"{rlimit.type}: soft limit {rlimit.soft} is over hard limit {rlimit.hard}"
            raise refusal(f"{where}[{at}]", wrong, "raise the hard limit or lower the soft one")
    for name in duplicates(rlimit.type for rlimit in rlimits):
        raise refusal(where, f"{name} is there twice", "keep one of the two")


def _check_scheduler(where: str, scheduler: Scheduler) -> None:
    check_known(f"{where}.policy", scheduler.policy, SCHEDULERS, what="scheduling policy")
    for at, flag in enumerate(scheduler.flags):
        check_known(f"{where}.flags[{at}]", flag, SCHEDULER_FLAGS, what="scheduling flag")
    if scheduler.nice is not None and not -20 <= scheduler.nice <= 19:
        raise refusal(f"{where}.nice", f"{scheduler.nice} is no nice value", "use -20 to 19")
    if scheduler.priority and scheduler.policy not in {"SCHED_FIFO", "SCHED_RR"}:
        wrong = f"{scheduler.policy} takes no priority"
        raise refusal(f"{where}.priority", wrong, "use SCHED_FIFO or SCHED_RR, or remove it")
    times = (scheduler.runtime, scheduler.deadline, scheduler.period)
    if any(times) and scheduler.policy != "SCHED_DEADLINE":
        wrong = f"{scheduler.policy} takes no runtime, deadline or period"
        raise refusal(where, wrong, "use SCHED_DEADLINE, or remove them")


def _check_affinity(where: str, affinity: CpuAffinity) -> None:
    for member, text in (("initial", affinity.initial), ("final", affinity.final)):
        if text and not is_cpu_list(text):
            raise refusal(f"{where}.{member}", f"{text[:80]!r} is no list", "write it as 0-3,7")


def _check_io_priority(where: str, priority: IoPriority) -> None:
    check_known(f"{where}.class", priority.class_, IO_CLASSES, what="class of I/O priority")
    if not 0 <= priority.priority <= _IO_LEVELS:
        wrong = f"{priority.priority} is not between 0 and {_IO_LEVELS}"
        raise refusal(f"{where}.priority", wrong, "0 is the highest level")
