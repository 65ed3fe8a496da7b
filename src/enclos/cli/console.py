"""The caller's side of a container's streams: a terminal made raw, or plain descriptors.

`Console` says which descriptors to hand to the supervisor and which lanes to pump meanwhile.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from enclos.cli import keys
from enclos.cli.lanes import Lane, half_close
from enclos.errors import InvalidRequest
from enclos.linux import terminal
from enclos.structs import dataclass
from enclos.wire.control import Channels


@dataclass(frozen=True, slots=True)
class Console:
    """What the program's streams are, from here.

    `descriptors` are for the supervisor: one with a terminal, else stdin if there is one,
    stdout and stderr. `watcher` tells when the user has detached.
    """

    channels: Channels
    descriptors: tuple[int, ...]
    lanes: tuple[Lane, ...]
    watcher: keys.Watcher
    ends: tuple[socket.socket, ...] = ()

    def size(self) -> tuple[int, int]:
        """Rows and columns of the caller's terminal."""
        return _size()

    def handed_over(self) -> None:
        """The supervisor has its descriptors: close ours, so that we see the end of output."""
        for end in self.ends:
            end.close()


def check(*, tty: bool, interactive: bool) -> None:
    """Refuse a terminal with input from something that is none; raises `InvalidRequest`."""
    if tty and interactive and not terminal.is_terminal(0):
        raise InvalidRequest("the input device is not a terminal", hint="leave out --tty (-t)")


@contextmanager
def opened(*, tty: bool, interactive: bool, detach_keys: str = keys.DEFAULT) -> Iterator[Console]:
    """The console for a program that is about to start."""
    watcher = keys.Watcher(keys.parse(detach_keys) if tty else b"")
    if tty:
        with _terminal(watcher, interactive=interactive) as console:
            yield console
        return
    descriptors = (0, 1, 2) if interactive else (1, 2)
    yield Console(Channels(stdin=interactive), descriptors, (), watcher)


@contextmanager
def _terminal(watcher: keys.Watcher, *, interactive: bool) -> Iterator[Console]:
    rows, columns = _size()
    ours, theirs = socket.socketpair()
    channels = Channels(stdin=interactive, terminal=True, rows=rows, columns=columns)
    with ExitStack() as stack:
        stack.enter_context(ours)
        stack.enter_context(theirs)
        ours.setblocking(False)
        lanes = [Lane(ours.fileno(), 1, at_end=half_close(ours, reading=True))]
        if interactive:
            stack.enter_context(terminal.raw(0))
            writing = stack.enter_context(ours.dup())  # polled beside the other lane's end
            lanes.append(Lane(0, writing.fileno(), through=watcher.feed))
        yield Console(channels, (theirs.fileno(),), tuple(lanes), watcher, (theirs,))


@contextmanager
def joined(*, tty: bool, stdin: bool, detach_keys: str) -> Iterator[Console]:
    """The console for `attach`: pumped, so that leaving ends the attachment."""
    watcher = keys.Watcher(keys.parse(detach_keys))
    if tty:
        with _terminal(watcher, interactive=stdin and terminal.is_terminal(0)) as console:
            yield console
        return
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(2 + stdin)]
        for pair in pairs:
            for end in pair:
                stack.enter_context(end)
            pair[0].setblocking(False)
        lanes = [
            Lane(ours.fileno(), target, at_end=half_close(ours, reading=True))
            for (ours, _), target in zip(pairs[-2:], (1, 2), strict=True)
        ]
        if stdin:
            ours = pairs[0][0]
            lanes.append(Lane(0, ours.fileno(), at_end=half_close(ours)))
        theirs = tuple(pair[1] for pair in pairs)
        descriptors = tuple(end.fileno() for end in theirs)
        yield Console(Channels(stdin=stdin), descriptors, tuple(lanes), watcher, theirs)


def _size() -> tuple[int, int]:
    """The size of the first of our streams that is a terminal; 0 and 0 without one."""
    for descriptor in (0, 1, 2):
        try:
            return terminal.window_size(descriptor)
        except OSError:
            continue
    return 0, 0


def silence() -> None:
    """Have nothing more to read or write: for a process that goes on in the background."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)
