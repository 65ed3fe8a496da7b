"""One QEMU process: its descriptors, its jail, its end.

Starting is synchronous and imports little, so that QEMU's own start-up (16 ms of dynamic
linking and more) overlaps with the supervisor's imports; QMP is attached afterwards.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit
from enclos.hypervisor.qemu import argv
from enclos.hypervisor.qemu.argv import Board, Nic, Wiring
from enclos.linux import jail
from enclos.structs import dataclass

UID: Final = 64055
"""Unprivileged owner of QEMU; the tool root's passwd file names it `enclos`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a QEMU is started from: files of the assets and, for a restore, of a template."""

    tool_root: Path
    kernel: Path
    initrd: Path
    state: Path | None = None
    save_state: int | None = None
    """Descriptor that a template's device state is to be written to."""


@dataclass(frozen=True, slots=True)
class Qemu:
    """A started QEMU and the host's ends of its channels. `ram` stays open for the template."""

    spawned: jail.Spawned
    monitor: socket.socket
    agent: socket.socket
    console: socket.socket
    ram: int

    @property
    def pid(self) -> int:
        """Host pid of QEMU, init of its own pid namespace."""
        return self.spawned.pid


def memory_file(name: str, size_bytes: int) -> int:
    """A sparse memfd that only QEMU's uid and root can open again by /proc/self/fd."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size_bytes)
    os.fchown(descriptor, UID, UID)
    os.fchmod(descriptor, 0o600)
    return descriptor


@contextmanager
def started(
    board: Board,
    sources: Sources,
    *,
    ram: int,
    share: socket.socket | None,
    nic: Nic | None = None,
    entrance: Sequence[int] = (),
) -> Iterator[Qemu]:
    """QEMU in its jail on the memory file `ram`; killed and reaped when the context ends.

    `entrance` leads into its control group. Raises `HostUnfit` if a file of the assets is
    missing. The caller confirms the jail.
    """
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        ours, theirs = zip(*pairs, strict=True)
        for end in ours:
            stack.enter_context(end)
        with ExitStack() as given:
            wiring = _wiring(sources, given, theirs=theirs, ram=ram, share=share, board=board)
            wiring = replace(wiring, nic=nic)
            spawned = jail.spawn(
                _jail(board, sources),
                argv.arguments(board, wiring),
                keep=_numbers(wiring),
                output=theirs[2].fileno(),
                entrance=entrance,
            )
        stack.callback(jail.reap, spawned.pid)
        yield Qemu(spawned, monitor=ours[0], agent=ours[1], console=ours[2], ram=ram)


def _jail(board: Board, sources: Sources) -> jail.Jail:
    devices = ("null", "zero", "urandom", *(("kvm",) if board.accelerator == "kvm" else ()))
    return jail.Jail(os.fspath(sources.tool_root), uid=UID, gid=_group(board), devices=devices)


def _group(board: Board) -> int:
    """QEMU's group: the owner of /dev/kvm where that is what grants access to it."""
    return os.stat("/dev/kvm").st_gid if board.accelerator == "kvm" else UID


def _wiring(
    sources: Sources,
    given: ExitStack,
    *,
    theirs: tuple[socket.socket, ...],
    ram: int,
    share: socket.socket | None,
    board: Board,
) -> Wiring:
    """The child's descriptors; `given` closes the parent's copies after the fork."""
    for end in theirs:
        given.enter_context(end)
    hotplug = memory_file("enclos-hotplug", board.hotplug_memory_bytes)
    given.callback(os.close, hotplug)
    cold = sources.state is None
    return Wiring(
        monitor=theirs[0].fileno(),
        agent=theirs[1].fileno(),
        console=theirs[2].fileno(),
        ram=ram,
        hotplug=hotplug,
        share=share.fileno() if share is not None else None,
        state=None if sources.state is None else _opened(sources.state, given),
        kernel=_opened(sources.kernel, given) if cold else None,
        initrd=_opened(sources.initrd, given) if cold else None,
        save=sources.save_state,
    )


def _opened(path: Path, given: ExitStack) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise HostUnfit(f"{path} is missing", hint="run: enclos assets build") from error
    given.callback(os.close, descriptor)
    return descriptor


def _numbers(wiring: Wiring) -> list[int]:
    fields = (
        wiring.monitor, wiring.agent, wiring.console, wiring.ram, wiring.hotplug,
        wiring.share, wiring.state, wiring.kernel, wiring.initrd, wiring.save,
    )  # fmt: skip
    nic = wiring.nic.descriptors if wiring.nic is not None else ()
    return [*nic, *(number for number in fields if number is not None)]
