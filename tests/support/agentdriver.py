"""Talks to a real agent in a real guest, without the product's host side.

Boots QEMU cold from a kernel and an initrd with the programs of a tool root, optionally with a
virtiofs share, and speaks frames over the agent's port. Synchronous and simple on purpose: an
independent second reading of docs/protocol.md.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from enclos import errors
from enclos.wire import codec, frames
from enclos.wire.messages import EVENTS, METHODS, STREAM_WINDOW, Failure, Hello

T = TypeVar("T")
SHARE_TAG = "enclos"
CPU = "max,-erms,-fsrm,-fsrs,-fzrm"
"""Emulated, the string instructions that these flags make the kernel use are slow."""
_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Runs what must not outlive the tests, even if they are killed."""
COMMAND_LINE = (
    "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init cgroup_no_v1=all maxcpus=1 "
    "lpj=10400000 rcupdate.rcu_expedited=1 tsc=reliable no_timer_check"
)


@dataclass(frozen=True)
class Assets:
    """What a guest is booted from: `images` holds vmlinux and initrd."""

    images: Path
    tool_root: Path

    def program(self, path: str) -> list[str]:
        """A command that runs a program of the tool root with its own libraries."""
        libraries = self.tool_root / "usr/lib/x86_64-linux-gnu"
        linker = libraries / "ld-linux-x86-64.so.2"
        search = f"{libraries}:{libraries}/pulseaudio"
        return [str(linker), "--library-path", search, str(self.tool_root / path)]


@dataclass
class Incoming:
    """A stream towards us; grants credit as it collects, unless `hungry` is false."""

    number: int
    hungry: bool = True
    keep: bool = True
    data: bytearray = field(default_factory=bytearray)
    total: int = 0
    owed: int = 0
    ended: bool = False


class Peer:
    """The host's end of the port."""

    def __init__(self, connection: socket.socket, console: Path) -> None:
        self._socket = connection
        self._console = console
        self._decoder = frames.Decoder()
        self._number = 0
        self._replies: dict[int, tuple[int, bytes]] = {}
        self._partial: dict[int, bytes] = {}
        self.events: list[Any] = []
        self.incoming: dict[int, Incoming] = {}
        self.credit: dict[int, int] = {}
        self.resets: set[int] = set()

    def number(self) -> int:
        self._number += 1
        return self._number

    def reader(self, *, hungry: bool = True, keep: bool = True) -> Incoming:
        """A fresh stream from the guest."""
        stream = Incoming(self.number(), hungry, keep)
        self.incoming[stream.number] = stream
        return stream

    def writer(self) -> int:
        """A fresh stream to the guest."""
        number = self.number()
        self.credit[number] = STREAM_WINDOW
        return number

    def send(self, data: bytes) -> None:
        self._socket.settimeout(30)
        self._socket.sendall(data)

    def call(self, method: str, message: object, *, timeout_s: float = 60) -> Any:
        """The decoded reply; raises what the agent raised."""
        number = self.post(method, message)
        self.wait(lambda: number in self._replies, timeout_s=timeout_s)
        kind, body = self._replies.pop(number)
        if kind == frames.ERROR:
            failure = codec.decode(Failure, body)
            raise errors.by_name(failure.kind)(
                failure.message, hint=failure.hint, detail=failure.detail
            )
        return codec.decode(METHODS[method][1], body)

    def post(self, method: str, message: object) -> int:
        """Send a request and do not wait; its number."""
        number = self.number()
        body = method.encode() + b"\n" + codec.encode(message)
        self.send(frames.encode_message(frames.REQUEST, number, body))
        return number

    def write(self, number: int, data: bytes) -> None:
        """Write to a stream within its credit."""
        view = memoryview(data)
        while view:
            self.wait(lambda: self.credit[number] > 0 or number in self.resets)
            if number in self.resets:
                raise BrokenPipeError
            piece = view[: min(self.credit[number], frames.MAX_PAYLOAD)]
            self.send(frames.encode(frames.DATA, number, bytes(piece)))
            self.credit[number] -= len(piece)
            view = view[len(piece) :]

    def end(self, number: int) -> None:
        self.send(frames.encode(frames.END, number))

    def event(self, kind: type[T], *, timeout_s: float = 60, **members: object) -> T:
        """The next event of this class with these members."""

        def found() -> list[T]:
            return [
                one for one in self.events
                if isinstance(one, kind)
                and all(getattr(one, name) == value for name, value in members.items())
            ]  # fmt: skip

        self.wait(lambda: bool(found()), timeout_s=timeout_s)
        one = found()[0]
        self.events.remove(one)
        return one

    def wait(self, condition: Any, *, timeout_s: float = 60) -> None:
        """Take frames until `condition()`."""
        limit = time.monotonic() + timeout_s
        while not condition():
            self._socket.settimeout(max(0.001, limit - time.monotonic()))
            data = self._socket.recv(1 << 18)
            if not data:
                raise EOFError(f"the machine is gone\n{self._console.read_text()}")
            for frame in self._decoder.feed(data):
                self._take(frame)

    def _take(self, frame: frames.Frame) -> None:
        number = frame.number
        if frame.kind == frames.DATA:
            self._data(self.incoming[number], frame.payload)
        elif frame.kind == frames.END:
            assert not self.incoming[number].ended
            self.incoming[number].ended = True
        elif frame.kind == frames.CREDIT:
            self.credit[number] += int.from_bytes(frame.payload, "little")
        elif frame.kind == frames.RESET:
            self.resets.add(number)
        else:
            self._message(frame)

    def _message(self, frame: frames.Frame) -> None:
        whole = self._partial.pop(frame.number, b"") + frame.payload
        if frame.flags:
            self._partial[frame.number] = whole
        elif frame.kind == frames.EVENT:
            name, _, body = whole.partition(b"\n")
            self.events.append(codec.decode(EVENTS[name.decode()], body))
        else:
            assert frame.kind in (frames.REPLY, frames.ERROR)
            self._replies[frame.number] = (frame.kind, whole)

    def _data(self, stream: Incoming, payload: bytes) -> None:
        assert not stream.ended
        stream.total += len(payload)
        if stream.keep:
            stream.data += payload
        stream.owed += len(payload)
        assert stream.owed <= STREAM_WINDOW, "the agent sent more than was granted"
        if stream.hungry and stream.owed >= STREAM_WINDOW // 4:
            self.grant(stream)

    def grant(self, stream: Incoming) -> None:
        """Give back all credit that is owed."""
        extra, stream.owed = stream.owed, 0
        self.send(frames.encode(frames.CREDIT, stream.number, extra.to_bytes(4, "little")))


@dataclass(frozen=True)
class Guest:
    """A booted machine."""

    peer: Peer
    hello: Hello
    process: subprocess.Popen[bytes]
    console: Path
    monitor: Path
    sharer: subprocess.Popen[bytes] | None
    """Its virtiofsd."""

    def command(self, execute: str, **arguments: object) -> Any:
        """Tell QEMU something; its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.fspath(self.monitor))
            with connection.makefile("rw") as talk:
                talk.readline()
                for name, members in (("qmp_capabilities", {}), (execute, arguments)):
                    talk.write(json.dumps({"execute": name, "arguments": members}) + "\n")
                    talk.flush()
                    answer = json.loads(talk.readline())
                    while "event" in answer:
                        answer = json.loads(talk.readline())
        return answer["return"]


@dataclass(frozen=True)
class Machine:
    """What the guest finds."""

    memory_mb: int
    vcpus: int
    cpu: str
    options: str


@contextmanager
def booted(
    assets: Assets,
    directory: Path,
    *,
    share: Path | None = None,
    memory_mb: int = 256,
    vcpus: int = 1,
    extra: tuple[str, ...] = (),
    options: str = "",
    cpu: str = CPU,
) -> Iterator[Guest]:
    """A guest that has said `ready`; killed at the end."""
    ours, theirs = socket.socketpair()
    console = directory / "console.log"
    with ExitStack() as stack:
        stack.callback(ours.close)
        sharer = _sharer(assets, directory, share, stack) if share else None
        machine = Machine(memory_mb, vcpus, cpu, options)
        command = _qemu(assets, directory, machine, agent=theirs.fileno())
        command += [*(_share(directory) if sharer else ()), *extra]
        process = subprocess.Popen([*_WITH_US, *command], pass_fds=[theirs.fileno()])
        stack.callback(process.wait)
        stack.callback(process.kill)
        theirs.close()
        peer = Peer(ours, console)
        try:
            hello = peer.event(Hello, timeout_s=240)
        except (EOFError, TimeoutError) as error:
            raise AssertionError(f"no hello: {error}\n{console.read_text()}") from error
        yield Guest(peer, hello, process, console, directory / "qmp", sharer)


def _qemu(assets: Assets, directory: Path, machine: Machine, *, agent: int) -> list[str]:
    memory = machine.memory_mb
    return [
        *assets.program("usr/bin/qemu-system-x86_64"),
        "-L", f"{assets.tool_root}/usr/share/qemu",
        "-L", f"{assets.tool_root}/usr/share/seabios",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35,memory-backend=ram", "-accel", "tcg", "-cpu", machine.cpu,
        "-smp", str(machine.vcpus), "-m", f"{memory}M,maxmem=4G,slots=2",
        "-object", f"memory-backend-memfd,id=ram,size={memory}M,share=on",
        "-chardev", f"file,id=console,path={directory}/console.log",
        "-device", "isa-serial,chardev=console",
        "-qmp", f"unix:{directory}/qmp,server=on,wait=off",
        "-device", "virtio-serial-pci,max_ports=2",
        "-chardev", f"socket,id=agent,fd={agent}",
        "-device", "virtserialport,chardev=agent,name=enclos.agent,nr=1",
        "-kernel", f"{assets.images}/vmlinux", "-initrd", f"{assets.images}/initrd",
        "-append", f"{COMMAND_LINE} {machine.options}",
    ]  # fmt: skip


def _sharer(
    assets: Assets, directory: Path, share: Path, stack: ExitStack
) -> subprocess.Popen[bytes]:
    """A virtiofsd that listens."""
    rendezvous = _rendezvous(directory)
    command = [
        *assets.program("usr/libexec/virtiofsd"),
        f"--shared-dir={share}", f"--socket-path={rendezvous}",
        "--sandbox=none", "--announce-submounts", "--cache=auto", "--xattr", "--log-level=error",
    ]  # fmt: skip
    process = subprocess.Popen([*_WITH_US, *command])
    stack.callback(process.wait)
    stack.callback(process.kill)
    limit = time.monotonic() + 10
    while not os.path.exists(rendezvous):
        if time.monotonic() > limit:
            raise AssertionError("virtiofsd did not start")
        time.sleep(0.01)
    return process


def _rendezvous(directory: Path) -> Path:
    return directory / "virtiofs"


def _share(directory: Path) -> list[str]:
    return [
        "-chardev", f"socket,id=share,path={_rendezvous(directory)}",
        "-device", f"vhost-user-fs-pci,chardev=share,tag={SHARE_TAG},queue-size=512",
    ]  # fmt: skip
