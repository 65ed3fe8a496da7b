"""QEMU's argument list. PURE: a board and its wiring in, a list of strings out.

Every address is fixed, because a template only loads into the machine it was saved from
(engine.md): what is particular to one sandbox sits at addresses the template left empty.
"""

from __future__ import annotations

from typing import Final

from enclos.structs import dataclass

PROGRAM: Final = "/usr/bin/qemu-system-x86_64"
MACHINE: Final = "pc-q35-10.0"
"""Versioned, so that a template's key names what it really depends on."""
ROOT_PORTS: Final = 8
"""Empty PCI Express ports for devices that arrive while the guest runs."""
SHARE_TAG: Final = "enclos"
SPARE_NETDEV: Final = "spare"

_COMMAND_LINE: Final = (
    "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init cgroup_no_v1=all "
    "memory_hotplug.online_policy=auto-movable memhp_default_state=online "
    "tsc=reliable no_timer_check rcupdate.rcu_expedited=1 cryptomgr.notests "
    "8250.nr_uarts=1 random.trust_cpu=off swiotlb=noforce"
)
_TCG: Final = "tcg,tb-size=128"
"""Room for translated code, in MiB, touched as it fills. With 32 it is full, thrown away and made
again while the first container starts, which takes half a second longer."""
_TCG_LINE: Final = "lpj=10400000"
"""Measuring it takes two seconds a CPU under emulation, where nothing depends on it."""
_TCG_CPU: Final = "max,-erms,-fsrm,-fsrs,-fzrm"
"""Without the flags by which the kernel chooses string instructions to copy: emulated they are
five times slower than its loops."""


@dataclass(frozen=True, slots=True)
class Board:
    """The machine as the guest finds it: all that a template depends on but the files.

    `spare_vcpus` are there, too, and switched off until the guest is told to use them. CPUs that
    QEMU would add later are ignored by a guest without KVM (docs/decisions/0007).
    """

    accelerator: str
    base_memory_bytes: int
    hotplug_memory_bytes: int
    vcpus: int
    extra_command_line: str = ""
    spare_vcpus: int = 0


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface that the machine has from its start.

    `descriptors` are a tap's, one per queue, or one connected socket's if it is a `stream`.
    """

    mac: str
    descriptors: tuple[int, ...]
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Wiring:
    """Descriptors of one QEMU process, as numbers it inherits.

    `share` is the vhost-user socket of a virtiofsd; `state` a template's device state to be
    loaded, in which case `kernel` and `initrd` are not needed; `save` is where a machine that
    becomes a template writes its own.
    """

    monitor: int
    agent: int
    console: int
    ram: int
    hotplug: int
    share: int | None = None
    state: int | None = None
    kernel: int | None = None
    initrd: int | None = None
    save: int | None = None
    nic: Nic | None = None


def command_line(board: Board) -> str:
    """The guest kernel's command line."""
    emulated = _TCG_LINE if board.accelerator != "kvm" else ""
    spare = f"maxcpus={board.vcpus}" if board.spare_vcpus else ""
    return " ".join(" ".join((_COMMAND_LINE, emulated, spare, board.extra_command_line)).split())


def cpu_model(board: Board) -> str:
    """The guest's CPU, with what is taken away from it."""
    return "host" if board.accelerator == "kvm" else _TCG_CPU


def arguments(board: Board, wiring: Wiring) -> list[str]:
    """The whole argument list, program first."""
    return [
        PROGRAM,
        *_base(board),
        *_memory(board, wiring),
        *_channels(wiring),
        *_ports(),
        *_share(wiring),
        *_nic(wiring),
        *_start(board, wiring),
    ]


def _base(board: Board) -> list[str]:
    accelerator = "kvm" if board.accelerator == "kvm" else _TCG
    return [
        "-name", "enclos,process=enclos-qemu",
        "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-vga", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-machine", f"{MACHINE},memory-backend=ram,"
        "sata=off,smbus=off,usb=off,vmport=off,i8042=off,hpet=off,graphics=off",
        "-accel", accelerator,
        "-cpu", cpu_model(board),
        "-smp", f"{board.vcpus + board.spare_vcpus}",
        "-device", "vmgenid,guid=auto",
    ]  # fmt: skip


def _memory(board: Board, wiring: Wiring) -> list[str]:
    total = board.base_memory_bytes + board.hotplug_memory_bytes
    return [
        "-m", f"size={board.base_memory_bytes}B,slots=1,maxmem={total}B",
        "-object", _backend("ram", board.base_memory_bytes, wiring.ram),
        "-object", _backend("hotplug", board.hotplug_memory_bytes, wiring.hotplug)
        + ",reserve=off",
        "-device", "virtio-mem-pci,id=memory,memdev=hotplug,requested-size=0,bus=pcie.0,addr=0x3",
    ]  # fmt: skip


def _backend(name: str, size: int, descriptor: int) -> str:
    return (
        f"memory-backend-file,id={name},size={size}B,share=on,mem-path=/proc/self/fd/{descriptor}"
    )


def _channels(wiring: Wiring) -> list[str]:
    return [
        "-chardev", f"socket,id=monitor,fd={wiring.monitor}",
        "-mon", "chardev=monitor,mode=control",
        "-chardev", f"socket,id=console,fd={wiring.console}",
        "-device", "isa-serial,chardev=console",
        "-device", "virtio-serial-pci,id=serial,bus=pcie.0,addr=0x2,max_ports=2",
        "-chardev", f"socket,id=agent,fd={wiring.agent}",
        "-device", "virtserialport,chardev=agent,name=enclos.agent,bus=serial.0,nr=1",
    ]  # fmt: skip


def _ports() -> list[str]:
    ports: list[str] = []
    for index in range(ROOT_PORTS):
        multifunction = ",multifunction=on" if index == 0 else ""
        ports += [
            "-device",
            f"pcie-root-port,id=port{index},bus=pcie.0,chassis={index + 1},"
            f"addr=0x10.{index:#x}{multifunction}",
        ]
    return ports


def _share(wiring: Wiring) -> list[str]:
    if wiring.share is None:
        return []
    return [
        "-chardev", f"socket,id=share,fd={wiring.share}",
        "-device", f"vhost-user-fs-pci,chardev=share,tag={SHARE_TAG},queue-size=512,"
        "bus=pcie.0,addr=0x4",
    ]  # fmt: skip


def _nic(wiring: Wiring) -> list[str]:
    """Not behind a port: what sits there while a template is loaded has no power."""
    nic = wiring.nic
    if nic is None:
        return []
    numbers = ":".join(map(str, nic.descriptors))
    kind = "socket" if nic.stream else "tap"
    key = "fds" if len(nic.descriptors) > 1 else "fd"
    queues = len(nic.descriptors)
    several = f",mq=on,vectors={2 * queues + 2}" if queues > 1 else ""
    return [
        "-netdev", f"{kind},id={SPARE_NETDEV},{key}={numbers}",
        "-device", f"virtio-net-pci,netdev={SPARE_NETDEV},mac={nic.mac},romfile={several},"
        "bus=pcie.0,addr=0x5",
    ]  # fmt: skip


def _start(board: Board, wiring: Wiring) -> list[str]:
    if wiring.state is not None:
        return ["-add-fd", f"fd={wiring.state},set=1", "-incoming", "defer", "-S"]
    if wiring.kernel is None or wiring.initrd is None:
        raise ValueError("a cold boot needs a kernel and an initrd")
    save = ["-add-fd", f"fd={wiring.save},set=2"] if wiring.save is not None else []
    return [
        *save,
        "-kernel", f"/proc/self/fd/{wiring.kernel}",
        "-initrd", f"/proc/self/fd/{wiring.initrd}",
        "-append", command_line(board),
    ]  # fmt: skip
