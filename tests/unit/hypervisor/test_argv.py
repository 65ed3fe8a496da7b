"""QEMU's argument list is a function of board and wiring alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from enclos.hypervisor.qemu import argv
from enclos.hypervisor.qemu.argv import Board, Nic, Wiring
from enclos.wire import places

BOARD = Board("tcg", 256 << 20, 8 << 30, 4)
COLD = Wiring(monitor=10, agent=11, console=12, ram=13, hotplug=14, kernel=15, initrd=16)


def options(arguments: list[str], name: str) -> list[str]:
    """Every value of the option `name`."""
    return [value for key, value in itertools.pairwise(arguments) if key == name]


def test_a_cold_boot_names_kernel_and_initrd_by_descriptor() -> None:
    made = argv.arguments(BOARD, COLD)
    assert options(made, "-kernel") == ["/proc/self/fd/15"]
    assert options(made, "-initrd") == ["/proc/self/fd/16"]
    assert "-incoming" not in made


def test_a_restore_needs_neither_and_waits_for_its_state() -> None:
    wiring = replace(COLD, kernel=None, initrd=None, state=20)
    made = argv.arguments(BOARD, wiring)
    assert options(made, "-incoming") == ["defer"]
    assert options(made, "-add-fd") == ["fd=20,set=1"]
    assert "-kernel" not in made


def test_a_cold_boot_without_a_kernel_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="kernel"):
        argv.arguments(BOARD, replace(COLD, kernel=None))


def test_spare_cpus_are_there_and_off() -> None:
    spare = replace(BOARD, spare_vcpus=2)
    made = argv.arguments(spare, COLD)
    assert options(made, "-smp") == ["6"]
    assert "maxcpus=4" in argv.command_line(spare).split()
    assert "maxcpus" not in argv.command_line(BOARD)


def test_the_share_is_the_only_difference_a_share_makes() -> None:
    """A template is saved without a share and restored with one at an address it left empty."""
    plain = argv.arguments(BOARD, COLD)
    shared = argv.arguments(BOARD, replace(COLD, share=30))
    added = [word for word in shared if word not in plain]
    assert len(added) == 2
    assert "addr=0x4" in added[1]
    assert not any("addr=0x4" in word for word in plain)


@pytest.mark.parametrize(
    ("nic", "netdev", "queues"),
    [
        (Nic("02:00:00:00:00:01", (40,)), "tap,id=spare,fd=40", ""),
        (Nic("02:00:00:00:00:01", (40, 41)), "tap,id=spare,fds=40:41", ",mq=on,vectors=6"),
        (Nic("02:00:00:00:00:01", (40,), stream=True), "socket,id=spare,fd=40", ""),
    ],
)
def test_an_interface_of_the_start_is_where_the_guest_looks(
    nic: Nic, netdev: str, queues: str
) -> None:
    plain, wired = argv.arguments(BOARD, COLD), argv.arguments(BOARD, replace(COLD, nic=nic))
    backend, device = [word for word in wired if word not in plain and word != "-netdev"]
    assert backend == netdev
    assert device == (
        f"virtio-net-pci,netdev=spare,mac={nic.mac},romfile={queues},bus=pcie.0,addr=0x5"
    )
    assert places.SPARE_PATH.endswith(":05.0")
    assert places.SPARE_SLOT == argv.ROOT_PORTS


def test_every_device_has_an_address_of_its_own() -> None:
    nic = Nic("02:00:00:00:00:01", (40,))
    devices = options(argv.arguments(BOARD, replace(COLD, share=30, nic=nic)), "-device")
    addresses = [
        part for device in devices for part in device.split(",") if part.startswith("addr=")
    ]
    assert len(addresses) == len(set(addresses)) == 4 + argv.ROOT_PORTS


def test_memory_is_shared_and_named_so_that_a_template_skips_it() -> None:
    objects = options(argv.arguments(BOARD, COLD), "-object")
    assert len(objects) == 2
    assert all("share=on" in text and "mem-path=/proc/self/fd/" in text for text in objects)


def test_the_seccomp_sandbox_is_on() -> None:
    (sandbox,) = options(argv.arguments(BOARD, COLD), "-sandbox")
    assert sandbox.startswith("on,")
    assert "spawn=deny" in sandbox


@pytest.mark.parametrize(("accelerator", "cpu"), [("tcg", "max,"), ("kvm", "host")])
def test_the_cpu_follows_the_accelerator(accelerator: str, cpu: str) -> None:
    made = argv.arguments(replace(BOARD, accelerator=accelerator), COLD)
    assert options(made, "-cpu")[0].startswith(cpu)
    assert options(made, "-accel")[0].startswith(accelerator)


def test_plugged_memory_is_for_the_kernel_too() -> None:
    """`online_movable` would overrule the policy: 8 GiB need more page tables than 256 MiB hold."""
    words = argv.command_line(BOARD).split()
    assert "memory_hotplug.online_policy=auto-movable" in words
    assert "memhp_default_state=online" in words
