"""What `create` and `run` are given: a bundle's spec, streams, a terminal."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, NotFound
from enclos.linux import files, terminal
from enclos.oci.load import load_spec
from enclos.oci.types import ConsoleSize, Spec
from enclos.ocicli.parse import Invocation
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
    """Descriptors cannot be handed to another kernel."""
    if call.flags.number("preserve-fds"):
        raise InvalidRequest(
            "--preserve-fds is not supported: descriptors cannot cross into the guest",
            hint="share a directory with sockets in it, or use standard streams",
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


def _send_terminal(console: str, size: ConsoleSize | None) -> Streams:
    """Make a terminal, send its master to the console socket; its slave is ours."""
    pair = terminal.open_pair()
    rows, columns = (size.height, size.width) if size else (0, 0)
    if rows and columns:
        terminal.set_window_size(pair.slave, rows=rows, columns=columns)
    terminal.set_raw(pair.slave)
    name = os.ttyname(pair.slave).encode()[:_NAME_BYTES]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(console)
            socket.send_fds(connection, [name], [pair.master])
        except OSError as error:
            raise InvalidRequest(f"cannot use the console socket {console}: {error}") from error
    os.close(pair.master)
    channels = Channels(terminal=True, rows=rows, columns=columns)
    return Streams(channels, (pair.slave,), pair.slave)


def write_pid(call: Invocation, pid: int) -> None:
    """Write --pid-file by rename, digits only."""
    path = call.flags.text("pid-file")
    if path:
        files.write_atomic(Path(path).absolute(), str(pid).encode(), mode=0o644)
