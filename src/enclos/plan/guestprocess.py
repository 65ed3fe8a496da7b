"""What a process object becomes in the guest. PURE.

Security labels and profiles name the host's policy, CPU affinities the host's CPUs: the guest
has neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from enclos.oci.types import Process


@dataclass(frozen=True, slots=True)
class GuestProcess:
    """The guest's process object, and what was dropped and why."""

    process: Process
    notes: tuple[str, ...] = ()


def translate(process: Process) -> GuestProcess:
    """The process as the guest runs it."""
    dropped = {
        "apparmorProfile": (process.apparmor_profile, "it names a profile of the host"),
        "selinuxLabel": (process.selinux_label, "it names a label of the host's policy"),
        "execCPUAffinity": (process.exec_cpu_affinity, "it names CPUs of the host"),
    }
    notes = tuple(
        f"process.{name}: dropped, {reason}" for name, (value, reason) in dropped.items() if value
    )
    guest = replace(process, apparmor_profile="", selinux_label="", exec_cpu_affinity=None)
    return GuestProcess(guest, notes)
