"""A process' standard streams as containerd names them: fifos, files, and programs that log.

The engine gets plain descriptors. Kept here are the other ends, so that neither a client that
goes away nor one that comes late loses anything: a reader of each output fifo until the process
is deleted, a writer of the input fifo until CloseIO.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from enclos.errors import InvalidRequest, Unsupported
from enclos.linux import fork
from enclos.linux.pid import ProcessRef
from enclos.structs import dataclass
from enclos.wire.control import Channels

_SCHEMES: Final = ("", "fifo", "file", "binary")
_NULL: Final = "/dev/null"
_PATIENCE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Names:
    """What a client asks for, as `State` gives it back."""

    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    terminal: bool = False


@dataclass(slots=True)
class Stdio:
    """Streams that are open. `descriptors` are for the engine, which gets copies of them."""

    names: Names
    descriptors: list[int] = field(default_factory=list[int])
    kept: list[int] = field(default_factory=list[int])
    input_end: int = -1
    input_closed: bool = False
    logger: ProcessRef | None = None
    ready: int = -1
    """The read end of the logging program's third pipe, until it is ready."""

    @property
    def channels(self) -> Channels:
        """The same in the engine's words."""
        terminal = self.names.terminal
        return Channels(stdin=bool(self.names.stdin), terminal=terminal, split=terminal)

    def open_input(self) -> None:
        """Open the input, which comes before the outputs in `descriptors`.

        A client sees by it that somebody reads, and may close it at once.
        """
        if self.names.stdin:
            try:
                self.descriptors.insert(0, _open_input(self, self.names.stdin))
            except OSError as error:
                raise InvalidRequest(f"cannot open the standard input: {error}") from error

    def hand_over(self) -> None:
        """The engine has copies of the descriptors, or never will."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()

    @property
    def unread(self) -> int:
        """Bytes that the client has still to take out of its fifos."""
        return sum(_waiting(descriptor) for descriptor in self.kept)

    def close_input(self) -> None:
        """Input ends when the client has closed it, too."""
        self.input_closed = True
        if self.input_end >= 0:
            os.close(self.input_end)
            self.input_end = -1

    def close(self) -> None:
        """Nobody will read or write any more."""
        self.hand_over()
        self.close_input()
        for descriptor in self.kept:
            os.close(descriptor)
        self.kept.clear()
        if self.ready >= 0:
            os.close(self.ready)
            self.ready = -1


async def wait_read(streams: Stdio) -> None:
    """Wait for a client that reads still, as long as it does.

    ctr of containerd 1.7 throws away what it has not read when a Delete is answered.
    """
    before = streams.unread
    while before:
        await asyncio.sleep(_PATIENCE_S)
        now = streams.unread
        if now >= before:
            return  # nobody reads, or not any more
        before = now


def _waiting(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


@contextmanager
def opened(names: Names, *, environment: dict[str, str]) -> Iterator[Stdio]:
    """Open the outputs; on an error in the body they are closed again.

    `environment` is a logging program's. Raises `InvalidRequest` for what cannot be opened.
    """
    streams = Stdio(names)
    try:
        _open(streams, environment)
        yield streams
    except BaseException:
        streams.close()
        raise


def _open(streams: Stdio, environment: dict[str, str]) -> None:
    names = streams.names
    try:
        if _scheme(names.stdout) == "binary":
            _open_logger(streams, names.stdout, environment)
            return
        _open_output(streams, names.stdout)
        if not names.terminal:
            _open_output(streams, names.stderr)
    except OSError as error:
        raise InvalidRequest(f"cannot open the standard streams: {error}") from error


def _open_input(streams: Stdio, name: str) -> int:
    """Read without waiting for a writer, and be one, so that a client may come and go."""
    path = _fifo_path(name)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISFIFO(os.fstat(reading).st_mode) and not streams.input_closed:
        streams.input_end = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return reading


def _open_output(streams: Stdio, name: str) -> None:
    scheme = _scheme(name)
    if scheme == "file":
        streams.descriptors.append(_append(Path(urlsplit(name).path)))
        return
    path = _fifo_path(name) if name else _NULL
    if stat.S_ISFIFO(os.stat(path).st_mode):
        streams.kept.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    streams.descriptors.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _append(path: Path) -> int:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o644)
    return descriptor


def _open_logger(streams: Stdio, name: str, environment: dict[str, str]) -> None:
    """Start the program that takes both outputs: descriptors 3 and 4, and 5 to say it is ready."""
    found = urlsplit(name)
    arguments = [part for pair in parse_qsl(found.query, keep_blank_values=True) for part in pair]
    argv = [found.path, *filter(None, arguments)]
    if not os.access(found.path, os.X_OK):
        raise InvalidRequest(f"the logging program {found.path[:200]} cannot be run")
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
    (out_read, out_write), (err_read, err_write), (ready_read, ready_write) = pipes
    given = {3: out_read, 4: err_read, 5: ready_write}
    streams.ready = ready_read
    streams.descriptors.append(out_write)
    if streams.names.terminal:
        os.close(err_write)
    else:
        streams.descriptors.append(err_write)
    try:
        streams.logger = fork.spawn_detached(argv, environment=environment, descriptors=given)
    finally:
        for descriptor in given.values():
            os.close(descriptor)


def _fifo_path(name: str) -> str:
    """The path in a name without a scheme, or with `fifo:`."""
    scheme = _scheme(name)
    if scheme not in {"", "fifo"}:
        raise Unsupported(f"a stream of kind {scheme}: {name[:80]}", hint="use a fifo")
    return urlsplit(name).path if scheme else name


def _scheme(name: str) -> str:
    scheme, separator, _ = name.partition("://")
    found = scheme if separator else ""
    if found not in _SCHEMES:
        raise Unsupported(
            f"standard streams of kind {found[:40]!r} are not supported",
            hint="use a fifo, file:// or binary://",
        )
    return found
