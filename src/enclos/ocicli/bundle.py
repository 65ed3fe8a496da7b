"""What `create` and `run` are given: a bundle's spec, streams, a terminal."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from enclos.config import load
from enclos.errors import InvalidRequest, NotFound
from enclos.linux import files, terminal
from enclos.oci.load import load_spec
from enclos.oci.types import ConsoleSize, Spec
from enclos.ocicli.parse import Invocation
from enclos.structs import dataclass
from enclos.wire.control import Channels

_SPEC_BYTES: Final = 16 << 20
_NAME_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Streams:
    """A process' streams: descriptors for the supervisor, the stand-in's terminal or -1."""

    channels: Channels
    descriptors: tuple[int, ...]
    slave: int = -1


def read(call: Invocation) -> tuple[Path, Spec]:
    """The bundle's absolute path and its spec; raises `InvalidRequest` or `NotFound`."""
    refuse_preserved(call)
    path = Path(call.flags.text("bundle", ".")).absolute()
    file = call.flags.text("config")
    config = Path(file).absolute() if file else path / "config.json"
    try:
        text = files.read_bounded(config, _SPEC_BYTES)
    except FileNotFoundError as error:
        raise NotFound(
            f"JSON specification file {config} not found", hint="see: enclos-oci spec --help"
        ) from error
    except OSError as error:
        raise InvalidRequest(f"cannot read {config}: {error}") from error
    return path, load_spec(text)


def refuse_preserved(call: Invocation) -> None:
    """Descriptors cannot be handed to another kernel: neither those of --preserve-fds nor the
    sockets that an activating systemd has opened for us (sd_listen_fds(3))."""
    hint = "share a directory, use standard streams, or have the program listen by itself"
    if call.flags.number("preserve-fds"):
        raise InvalidRequest(
            "--preserve-fds is not supported: descriptors cannot cross into the guest", hint=hint
        )
    given = load.variable("LISTEN_FDS")
    if given not in {"", "0"} and load.variable("LISTEN_PID") == str(os.getpid()):
        raise InvalidRequest(
            "socket activation (LISTEN_FDS) is not supported: sockets cannot cross into the guest",
            hint=hint,
        )


def detached_streams(
    call: Invocation, *, wants_terminal: bool, size: ConsoleSize | None
) -> Streams:
    """Streams for a process the caller does not wait for; raises as runc does."""
    console = call.flags.text("console-socket")
    if wants_terminal and not console:
        raise InvalidRequest(
            "cannot allocate tty if runtime will detach without setting console socket",
            hint="give --console-socket, or set process.terminal to false",
        )
    if console and not wants_terminal:
        raise InvalidRequest(
            "cannot use console socket if runtime will not detach or allocate tty",
            hint="set process.terminal to true, or leave --console-socket away",
        )
    if not wants_terminal:
        return Streams(Channels(), (0, 1, 2))
    return _send_terminal(console, size)


@contextmanager
def attached_streams(
    call: Invocation, *, wants_terminal: bool, size: ConsoleSize | None
) -> Iterator[Streams]:
    """Streams for a process the caller waits for: its own, or its terminal, which is raw then.

    Unlike runc, and as crun, this takes --console-socket for the terminal as well.
    """
    if call.flags.text("console-socket"):
        yield detached_streams(call, wants_terminal=wants_terminal, size=size)
        return
    if not wants_terminal:
        yield Streams(Channels(), (0, 1, 2))
        return
    if not terminal.is_terminal(0):
        raise InvalidRequest(
            "standard input is not a terminal, and process.terminal is true",
            hint="run it on a terminal, give --console-socket, or set process.terminal to false",
        )
    rows, columns = terminal.window_size(0)
    with terminal.raw(0):
        channels = Channels(terminal=True, rows=rows, columns=columns)
        yield Streams(channels, (os.dup(0),))


def _send_terminal(console: str, size: ConsoleSize | None) -> Streams:
    """Make a terminal, send its master to the console socket; its slave is ours."""
    pair = terminal.open_pair()
    rows, columns = (size.height, size.width) if size else (0, 0)
    if rows and columns:
        terminal.set_window_size(pair.slave, rows=rows, columns=columns)
    terminal.set_raw(pair.slave)
    name = os.ttyname(pair.slave).encode()[:_NAME_BYTES]
    _send(console, name, pair.master, what="console")
    os.close(pair.master)
    channels = Channels(terminal=True, rows=rows, columns=columns)
    return Streams(channels, (pair.slave,), pair.slave)


def _send(path: str, name: bytes, descriptor: int, *, what: str) -> None:
    """Send one descriptor with its name to the socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
            socket.send_fds(connection, [name], [descriptor])
        except OSError as error:
            raise InvalidRequest(f"cannot use the {what} socket {path}: {error}") from error


def hand_out(call: Invocation, pid: int) -> None:
    """Tell who asked which process stands for this one: by --pidfd-socket, by --pid-file.

    The file is written by rename, digits only: go-runc parses strictly. Raises
    `InvalidRequest`.
    """
    if call.flags.text("pidfd-socket"):
        descriptor = os.pidfd_open(pid)
        _send(call.flags.text("pidfd-socket"), b"pidfd", descriptor, what="pidfd")
        os.close(descriptor)
    path = call.flags.text("pid-file")
    if not path:
        return
    try:
        files.write_atomic(Path(path).absolute(), str(pid).encode(), mode=0o644)
    except OSError as error:
        raise InvalidRequest(f"cannot write the pid file {path}: {error}") from error
