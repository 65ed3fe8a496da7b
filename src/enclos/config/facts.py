"""Facts about the host, looked up without changing it, and the remembered verdict on KVM.

Whether KVM really works is found out by booting a guest (`hypervisor`): `/dev/kvm` may open
and yet run nothing. The verdict is remembered here, keyed by all that could change it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.linux.cgroup import layout
from enclos.structs import dataclass

FILE: Final = "facts.json"
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What plans depend on. `kvm_device`: /dev/kvm can be opened, which proves little."""

    architecture: str
    kernel: str
    cpu: str
    cores: int
    memory_bytes: int
    cgroups: str
    euid: int
    kvm_device: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a guest booted under KVM, why not, and when that was tried (Unix time)."""

    usable: bool
    reason: str
    tried_at_s: int


def gather() -> HostFacts:
    """The host as it is now."""
    machine = os.uname()
    return HostFacts(
        architecture=machine.machine,
        kernel=machine.release,
        cpu=cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        cgroups=layout.detect().mode.value,
        euid=os.geteuid(),
        kvm_device=os.access("/dev/kvm", os.R_OK | os.W_OK),
    )


def cpu_model(table: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the first processor; empty where the kernel does not say."""
    with table.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "cpu model", "CPU part"}:
                return value.strip()
    return ""


def verdict_key(host: HostFacts, qemu: str) -> str:
    """What a verdict holds for: kernel, CPU and QEMU's version."""
    return "\n".join((host.kernel, host.cpu, qemu))


def recall(data_root: Path, key: str) -> Verdict | None:
    """The verdict remembered for `key`; None if there is none or the file is damaged."""
    entry = _read(data_root).get(key)
    if not isinstance(entry, dict):
        return None
    words = cast("dict[str, Any]", entry)
    usable, reason, tried = (words.get(name) for name in ("usable", "reason", "tried_at_s"))
    if isinstance(usable, bool) and isinstance(reason, str) and isinstance(tried, int):
        return Verdict(usable, reason, tried)
    return None


def remember(data_root: Path, key: str, *, usable: bool, reason: str) -> Verdict:
    """Write the verdict for `key` down, in place of all others; raises `OSError`."""
    verdict = Verdict(usable, reason, int(time.time()))
    data_root.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = json.dumps({key: asdict(verdict)}, indent=1)
    files.write_atomic(data_root / FILE, text.encode(), mode=0o644)
    return verdict


def forget(data_root: Path) -> None:
    """Let the next start try again; nothing remembered is done."""
    (data_root / FILE).unlink(missing_ok=True)


def _read(data_root: Path) -> dict[str, Any]:
    try:
        found: object = json.loads(files.read_bounded(data_root / FILE, _LIMIT))
    except (OSError, ValueError, InvalidRequest):
        return {}  # unreadable facts are found out anew
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
