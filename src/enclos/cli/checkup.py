"""What a host must have to run containers, checked one by one; each says what was found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from enclos.assets import build, store, verify
from enclos.assets.store import Assets
from enclos.config import facts
from enclos.config.facts import HostFacts
from enclos.config.settings import Settings
from enclos.errors import EnclosError
from enclos.hypervisor.qemu import template
from enclos.linux import libc, mountapi, process
from enclos.structs import dataclass

_LEAST_MEMORY: Final = 1 << 30
_LEAST_DISK: Final = 2 << 30
_BUILD: Final = "run: enclos assets build"


class Verdict(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one check; `hint` is empty where nothing is to be done."""

    check: str
    verdict: Verdict
    found: str
    hint: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in order; may boot a guest to find out about KVM."""
    host = facts.gather()
    yield _root(host)
    yield _processor(host)
    yield _memory(host)
    yield _kernel(host)
    yield _overlay()
    yield _tuntap()
    yield Finding("cgroups", Verdict.OK, f"mode {host.cgroups}")
    yield from (_tool(name, needed_for) for name, needed_for in _TOOLS.items())
    yield from _disks(settings)
    assets, finding = _assets(settings)
    yield finding
    if assets is not None:
        yield _accelerator(settings, host, assets)
        yield _template(settings)


_TOOLS: Final = {
    "skopeo": "images from registries, layouts and archives",
    "mmdebstrap": "building the assets",
    "zstd": "layers compressed by zstd",
}


def _root(host: HostFacts) -> Finding:
    if host.euid == 0:
        return Finding("root", Verdict.OK, "running as root")
    return Finding("root", Verdict.MISSING, f"running as user {host.euid}", "run it as root")


def _processor(host: HostFacts) -> Finding:
    text = f"{host.architecture}, {host.cores} CPUs, {host.cpu}"
    if host.architecture == "x86_64":
        return Finding("processor", Verdict.OK, text)
    return Finding("processor", Verdict.MISSING, text, "only x86_64 is supported yet")


def _memory(host: HostFacts) -> Finding:
    text = f"{host.memory_bytes >> 20} MiB"
    if host.memory_bytes >= _LEAST_MEMORY:
        return Finding("memory", Verdict.OK, text)
    return Finding("memory", Verdict.WARNING, text, "a machine takes 1 GiB unless -m says less")


def _kernel(host: HostFacts) -> Finding:
    """Asked for its newest calls rather than for its version."""
    calls: dict[str, Callable[[], int]] = {
        "pidfd_open": lambda: os.pidfd_open(os.getpid()),
        "openat2": lambda: libc.openat2(-100, "/", flags=os.O_PATH, resolve=0),
        "fsopen": lambda: mountapi.fsopen("tmpfs"),
    }
    for name, call in calls.items():
        try:
            os.close(call())
        except PermissionError:
            continue  # not root, which is said elsewhere
        except OSError as error:
            hint = "run Linux 5.12 or newer, outside a sandbox that filters system calls"
            return Finding("kernel", Verdict.MISSING, f"{name}: {error}", hint)
    return Finding("kernel", Verdict.OK, f"Linux {host.kernel}")


def _overlay() -> Finding:
    if not _knows_overlay() and _has("modprobe"):
        process.run(["modprobe", "overlay"], check=False, timeout_s=20)
    if _knows_overlay():
        return Finding("overlay", Verdict.OK, "overlay file systems can be mounted")
    return Finding("overlay", Verdict.MISSING, "the kernel has no overlay file system",
                   "load the module overlay")  # fmt: skip


def _knows_overlay() -> bool:
    return "overlay" in Path("/proc/filesystems").read_text().split()


def _tuntap() -> Finding:
    if os.path.exists("/dev/net/tun"):
        return Finding("tun", Verdict.OK, "/dev/net/tun is there")
    return Finding("tun", Verdict.WARNING, "there is no /dev/net/tun", "load the module tun")


def _has(program: str) -> bool:
    try:
        process.find(program)
    except EnclosError:
        return False
    return True


def _tool(name: str, needed_for: str) -> Finding:
    try:
        return Finding(name, Verdict.OK, process.find(name))
    except EnclosError as error:
        return Finding(name, Verdict.WARNING, f"not installed; needed for {needed_for}", error.hint)


def _disks(settings: Settings) -> Iterator[Finding]:
    for name, path in (("state root", settings.state_root), ("data root", settings.data_root)):
        place = next(one for one in (path, *path.parents) if one.exists())
        free = shutil.disk_usage(place).free
        text = f"{path}: {free >> 20} MiB free"
        if name == "data root" and free < _LEAST_DISK:
            yield Finding(name, Verdict.WARNING, text, "free some space, or set another data_root")
        else:
            yield Finding(name, Verdict.OK, text)


def _assets(settings: Settings) -> tuple[Assets | None, Finding]:
    try:
        assets = store.load(settings.data_root)
    except (EnclosError, OSError) as error:
        return None, Finding("assets", Verdict.MISSING, str(error), _BUILD)
    damaged = verify.quick(assets)
    if damaged:
        names = ", ".join(damaged[:3])
        return None, Finding("assets", Verdict.MISSING, f"damaged: {names}", _BUILD)
    text = f"{assets.key[:12]}: Linux {assets.kernel_release}, QEMU {assets.qemu_version}"
    if not build.is_current(assets):
        text += "; the agent is renewed at the next start"
    return assets, Finding("assets", Verdict.OK, text)


def _accelerator(settings: Settings, host: HostFacts, assets: Assets) -> Finding:
    from enclos.sandbox import accelerate

    if settings.accelerator.value != "auto":
        used = settings.accelerator.value
        verdict = Verdict.OK if used == "kvm" else Verdict.WARNING
        return Finding("accelerator", verdict, f"{used}, by the settings")
    known = accelerate.verdict(settings, host, assets)
    if known.usable:
        return Finding("accelerator", Verdict.OK, "KVM: a guest has booted with it")
    return Finding(
        "accelerator",
        Verdict.WARNING,
        f"emulation, which is no isolation boundary; KVM is not usable: {known.reason}",
        "use a host with working virtualization; to try again: enclos doctor --again",
    )


def _template(settings: Settings) -> Finding:
    try:
        found = template.all_templates(settings.data_root / "templates")
    except EnclosError as error:
        return Finding("template", Verdict.WARNING, str(error), "run: enclos template rm --all")
    if not settings.template:
        return Finding("template", Verdict.OK, "none are used, by the settings")
    if not found:
        return Finding("template", Verdict.OK, "none yet; the first start makes one")
    return Finding("template", Verdict.OK, f"{len(found)}, the newest is {found[-1].key[:12]}")
