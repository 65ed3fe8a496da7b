"""--security-opt and --privileged: which protections within the guest are in force. PURE.

The machine is the boundary between host and container; these are the ones that a program
inside may count on, or stand in the way of. Why there is no default
seccomp filter: docs/decisions/0006.
"""

from __future__ import annotations

from typing import Final

from enclos.oci.seccomp import Seccomp
from enclos.plan.flagtext import bad
from enclos.plan.runoptions import RunOptions
from enclos.plan.seccompprofile import read_profile
from enclos.structs import dataclass

MASKED_PATHS: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS: Final = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
_TRUE: Final = {"": True, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Security:
    """What follows from the options."""

    no_new_privileges: bool = False
    seccomp: Seccomp | None = None
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS


def security(options: RunOptions, *, capabilities: tuple[str, ...], architecture: str) -> Security:
    """The protections asked for; raises `InvalidRequest` for an unknown option.

    What docker does without a label or profile of the host's policy is accepted: guests have
    none. A label or profile by name is refused.
    """
    no_new_privileges = False
    masked: tuple[str, ...] = () if options.privileged else MASKED_PATHS
    readonly: tuple[str, ...] = () if options.privileged else READONLY_PATHS
    for text in options.security_opts:
        name, value = _split(text)
        match name:
            case "no-new-privileges" if value in _TRUE:
                no_new_privileges = _TRUE[value]
            case "systempaths" if value == "unconfined":
                masked, readonly = (), ()
            case "mask":
                masked = (*masked, *_paths(text, value))
            case "unmask":
                masked, readonly = _unmasked(text, value, masked, readonly)
            case "apparmor" | "label" | "seccomp":
                _check_policy(text, name, value)
            case _:
                raise bad("security-opt", text, "unknown option")
    profile = read_profile(
        options.seccomp_profile, capabilities=capabilities, architecture=architecture
    )
    return Security(no_new_privileges, profile, masked, readonly)


def seccomp_file(options: RunOptions) -> str:
    """The file that `--security-opt seccomp=FILE` names, for the front end to read; or nothing."""
    for text in reversed(options.security_opts):
        name, value = _split(text)
        if name == "seccomp":
            return "" if value in {"unconfined", "builtin", ""} else value
    return ""


def _split(text: str) -> tuple[str, str]:
    """Name and value; docker still takes a colon where there is no equals sign."""
    separator = "=" if "=" in text else ":"
    name, _, value = text.partition(separator)
    return name, value


def _check_policy(text: str, name: str, value: str) -> None:
    harmless = {"apparmor": {"unconfined"}, "label": {"disable"}}
    if name == "seccomp" or value in harmless[name]:
        return
    raise bad("security-opt", text, "guests have no such policy", hint="leave it out")


def _unmasked(
    text: str, value: str, masked: tuple[str, ...], readonly: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if value.upper() == "ALL":
        return (), ()
    freed = _paths(text, value)
    return (
        tuple(path for path in masked if path not in freed),
        tuple(path for path in readonly if path not in freed),
    )


def _paths(text: str, value: str) -> tuple[str, ...]:
    paths = tuple(value.split(":"))
    if not all(path.startswith("/") for path in paths):
        raise bad("security-opt", text, "a path is not absolute")
    return paths
