"""The floor: our QEMU, kernel and initrd with our flags, but without product, jail and share.

QEMU runs by the tool root's own dynamic linker. Descriptors and flags come from the product's
pure argument list, so that what is compared is the same machine.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from enclos.assets import libraries, store
from enclos.hypervisor.qemu import argv
from enclos.hypervisor.qemu.argv import Board, Wiring
from enclos.linux import files
from enclos.wire import frames
from enclos.wire.frames import Frame
from tests.perf.series import Unavailable

TIMEOUT_S: Final = 120
_DATA: Final = ("usr/share/qemu", "usr/share/seabios")


@dataclass(frozen=True, slots=True)
class Started:
    """A QEMU and our ends of its sockets."""

    process: subprocess.Popen[bytes]
    monitor: socket.socket
    agent: socket.socket


Opened: TypeAlias = AbstractContextManager[Started]


@dataclass(frozen=True, slots=True)
class BareMachine:
    """What the three rows need: assets, and a template made by hand."""

    assets: store.Assets
    board: Board
    ram: int
    state: int

    def cold_ms(self) -> float:
        """From the fork of QEMU to the agent's first word."""
        start = time.perf_counter()
        with memory(self.board) as ram, _cold(self, ram) as started:
            wait_event(started.agent, "ready")
            return (time.perf_counter() - start) * 1000

    def restore_ms(self) -> float:
        """From the fork of QEMU, the RAM copied, to the agent's answer."""
        start = time.perf_counter()
        with memory(self.board) as ram, _restoring(self, ram, share="on") as started:
            files.copy_sparse(self.ram, ram)
            load(started)
            hello(started.agent)
            return (time.perf_counter() - start) * 1000

    def private_ms(self) -> float:
        """The same with the template's RAM mapped privately: the `private` profile's floor."""
        start = time.perf_counter()
        with _restoring(self, self.ram, share="off") as started:
            load(started)
            hello(started.agent)
            return (time.perf_counter() - start) * 1000


@contextmanager
def prepared(assets: store.Assets, board: Board) -> Iterator[BareMachine]:
    """A template of the bare machine; raises `Unavailable` if QEMU says no."""
    with memory(board) as ram, ExitStack() as stack:
        state = os.memfd_create("perf-state", os.MFD_CLOEXEC)
        stack.callback(os.close, state)
        writing = _reopened(state, os.O_WRONLY)
        stack.callback(os.close, writing)
        machine = BareMachine(assets, board, ram, state)
        with _cold(machine, ram, save=writing) as started:
            wait_event(started.agent, "ready")
            ask(started.agent, "trim")
            greet(started.monitor)
            execute(started.monitor, "stop")
            migrate(started.monitor, "migrate", "file:/dev/fdset/2")
        reading = _reopened(state, os.O_RDONLY)
        stack.callback(os.close, reading)
        yield replace(machine, state=reading)


def _reopened(descriptor: int, mode: int) -> int:
    """QEMU takes a descriptor of a set only if it is open in just the mode it asks for."""
    return os.open(f"/proc/self/fd/{descriptor}", mode | os.O_CLOEXEC)


@contextmanager
def memory(board: Board) -> Iterator[int]:
    """A memory file for the guest's RAM."""
    descriptor = os.memfd_create("perf-ram", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, board.base_memory_bytes)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def networked(
    machine: BareMachine, devices: Sequence[str], descriptors: Sequence[int]
) -> Iterator[Started]:
    """The machine booted with further devices, for as long as the context lasts."""
    with memory(machine.board) as ram:
        more = _More(tuple(devices), tuple(descriptors))
        with _started(machine, ram, boot=True, save=None, share="on", more=more) as started:
            yield started


@dataclass(frozen=True, slots=True)
class _More:
    """Further arguments of QEMU, and the descriptors that they name."""

    arguments: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


def _cold(machine: BareMachine, ram: int, *, save: int | None = None) -> Opened:
    return _started(machine, ram, boot=True, save=save, share="on")


def _restoring(machine: BareMachine, ram: int, *, share: str) -> Opened:
    os.lseek(machine.state, 0, os.SEEK_SET)
    return _started(machine, ram, boot=False, save=None, share=share)


@contextmanager
def _started(
    machine: BareMachine,
    ram: int,
    *,
    boot: bool,
    save: int | None,
    share: str,
    more: _More | None = None,
) -> Iterator[Started]:
    assets, board = machine.assets, machine.board
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        for end in itertools.chain(*pairs):
            stack.enter_context(end)
        hotplug = os.memfd_create("perf-hotplug", os.MFD_CLOEXEC)
        stack.callback(os.close, hotplug)
        os.ftruncate(hotplug, board.hotplug_memory_bytes)
        opened = [os.open(path, os.O_RDONLY) for path in (assets.vmlinux, assets.initrd)]
        for descriptor in opened:
            stack.callback(os.close, descriptor)
        wiring = Wiring(
            monitor=pairs[0][1].fileno(),
            agent=pairs[1][1].fileno(),
            console=pairs[2][1].fileno(),
            ram=ram,
            hotplug=hotplug,
            state=None if boot else machine.state,
            kernel=opened[0] if boot else None,
            initrd=opened[1] if boot else None,
            save=save,
        )
        process = _spawn(machine, wiring, more or _More(), share=share)
        stack.callback(_end, process)
        yield Started(process, pairs[0][0], pairs[1][0])


def _spawn(
    machine: BareMachine, wiring: Wiring, more: _More, *, share: str
) -> subprocess.Popen[bytes]:
    tool_root = machine.assets.tool_root
    own = argv.arguments(machine.board, wiring)
    own = [part.replace("share=on", f"share={share}") if "id=ram" in part else part for part in own]
    command = [*libraries.linker_command(tool_root), str(tool_root / argv.PROGRAM.lstrip("/"))]
    for data in _DATA:
        command += ["-L", str(tool_root / data)]
    modules = tool_root / "usr/lib" / libraries.TRIPLET / "qemu"
    return subprocess.Popen(
        [*command, *own[1:], *more.arguments],
        pass_fds=[*_descriptors(wiring), *more.descriptors],
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin", "QEMU_MODULE_DIR": str(modules)},
    )


def _descriptors(wiring: Wiring) -> list[int]:
    numbers = (
        wiring.monitor, wiring.agent, wiring.console, wiring.ram, wiring.hotplug,
        wiring.state, wiring.kernel, wiring.initrd, wiring.save,
    )  # fmt: skip
    return [number for number in numbers if number is not None]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def greet(monitor: socket.socket) -> None:
    """Take QMP's greeting and negotiate."""
    _line(monitor)
    execute(monitor, "qmp_capabilities")


def execute(monitor: socket.socket, command: str, **arguments: object) -> None:
    """Run one QMP command."""
    monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
    while True:
        answer = _line(monitor)
        if "error" in answer:
            raise Unavailable(f"QEMU refused {command}: {answer['error']}")
        if "return" in answer:
            return


def migrate(monitor: socket.socket, command: str, uri: str) -> None:
    """Save or load the device state, without the RAM, and wait until it is done."""
    capabilities = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
    execute(monitor, "migrate-set-capabilities", capabilities=capabilities)
    monitor.sendall(json.dumps({"execute": command, "arguments": {"uri": uri}}).encode())
    while True:
        answer = _line(monitor)
        status = answer.get("data", {}).get("status") if "event" in answer else None
        if status == "completed":
            return
        if status == "failed" or "error" in answer:
            raise Unavailable(f"QEMU's {command} failed: {answer}")


def load(started: Started) -> None:
    """Restore and let run."""
    greet(started.monitor)
    migrate(started.monitor, "migrate-incoming", "file:/dev/fdset/1")
    execute(started.monitor, "cont")


def hello(agent: socket.socket) -> None:
    """Ask who it is."""
    ask(agent, "hello")


def ask(agent: socket.socket, method: str) -> None:
    """One request without arguments, and its answer."""
    agent.sendall(frames.encode(frames.REQUEST, 1, f"{method}\n{{}}".encode()))
    _wait_frame(agent, lambda frame: frame.kind == frames.REPLY)


def wait_event(agent: socket.socket, name: str) -> None:
    """Wait until the agent says it."""
    _wait_frame(
        agent,
        lambda frame: frame.kind == frames.EVENT and frame.payload.startswith(name.encode()),
    )


def _wait_frame(agent: socket.socket, wanted: Callable[[Frame], bool]) -> None:
    decoder = frames.Decoder()
    agent.settimeout(TIMEOUT_S)
    while True:
        try:
            data = agent.recv(65536)
        except TimeoutError as error:
            raise Unavailable(f"the agent said nothing in {TIMEOUT_S} s") from error
        if not data:
            raise Unavailable("QEMU ended")
        for frame in decoder.feed(data):
            if frame.kind == frames.ERROR:
                raise Unavailable(f"the agent refused: {frame.payload[:300]!r}")
            if wanted(frame):
                return


def _line(monitor: socket.socket) -> dict[str, Any]:
    """One line of QMP, read bytewise: what follows belongs to the next call."""
    monitor.settimeout(TIMEOUT_S)
    line = b""
    while not line.endswith(b"\n"):
        peeked = monitor.recv(65536, socket.MSG_PEEK)
        if not peeked:
            raise Unavailable("QEMU closed its monitor")
        end = peeked.find(b"\n")
        line += monitor.recv(len(peeked) if end < 0 else end + 1)
    parsed: dict[str, Any] = json.loads(line)
    return parsed
