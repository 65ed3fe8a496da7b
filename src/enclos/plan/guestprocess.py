"""What a process object becomes in the guest. PURE.

Security labels and profiles name the host's policy, which the guest does not have. Affinities
name the host's CPUs: those of `linux.resources.cpu.cpus` are the guest's 0, 1, … in order.
"""

from __future__ import annotations

from dataclasses import replace

from enclos.oci.complaint import refusal
from enclos.oci.linux import Linux
from enclos.oci.rules_resources import cpu_list
from enclos.oci.types import CpuAffinity, Process
from enclos.structs import dataclass


@dataclass(frozen=True, slots=True)
class GuestProcess:
    """The guest's process object, and what was dropped and why."""

    process: Process
    notes: tuple[str, ...] = ()


def host_cpus(linux: Linux | None) -> str:
    """The list of the host's CPUs that a container is bound to, empty for all."""
    resources = linux.resources if linux is not None else None
    return resources.cpu.cpus if resources is not None and resources.cpu is not None else ""


def translate(process: Process, *, cpus: str = "") -> GuestProcess:
    """The process as the guest runs it; `cpus` is the container's list of the host's.

    Raises `InvalidRequest` for an affinity to others, and for deadlines.
    """
    dropped = {
        "apparmorProfile": (process.apparmor_profile, "it names a profile of the host"),
        "selinuxLabel": (process.selinux_label, "it names a label of the host's policy"),
    }
    notes = tuple(
        f"process.{name}: dropped, {reason}" for name, (value, reason) in dropped.items() if value
    )
    if process.scheduler is not None and process.scheduler.policy == "SCHED_DEADLINE":
        hint = "use SCHED_FIFO or SCHED_RR"
        raise refusal("process.scheduler", "the guest cannot start what has a deadline", hint)
    affinity = process.exec_cpu_affinity
    guest = replace(
        process,
        apparmor_profile="",
        selinux_label="",
        exec_cpu_affinity=_affinity(affinity, cpus) if affinity else None,
    )
    return GuestProcess(guest, notes)


def _affinity(affinity: CpuAffinity, cpus: str) -> CpuAffinity:
    if not cpus:
        return affinity
    numbers = {host: guest for guest, host in enumerate(sorted(cpu_list(cpus)))}
    return replace(
        affinity,
        initial=_numbered("initial", affinity.initial, numbers),
        final=_numbered("final", affinity.final, numbers),
    )


def _numbered(member: str, text: str, numbers: dict[int, int]) -> str:
    asked = cpu_list(text) if text else frozenset[int]()
    if asked - numbers.keys():
        raise refusal(
            f"process.execCPUAffinity.{member}",
            f"{text} is not within linux.resources.cpu.cpus",
            "name CPUs that the container has",
        )
    return ",".join(str(numbers[cpu]) for cpu in sorted(asked))
