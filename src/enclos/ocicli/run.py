"""`run`: create, start, wait, delete in one; or leave it running with --detach."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from enclos.errors import EnclosError
from enclos.linux import terminal
from enclos.ocicli import bundle, create, where
from enclos.ocicli.bundle import Streams
from enclos.ocicli.parse import Invocation
from enclos.sandbox import attach, delete, kill, start, wait
from enclos.sandbox.create import Created
from enclos.state.store import StateRoot
from enclos.wire.control import Channels

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
              signal.SIGUSR1, signal.SIGUSR2)  # fmt: skip


def run(call: Invocation) -> int:
    """See the table."""
    _, spec = bundle.read(call)
    wants = spec.process is not None and spec.process.terminal
    size = spec.process.console_size if spec.process else None
    if call.flags.on("detach"):
        streams = bundle.detached_streams(call, wants_terminal=wants, size=size)
        _run_detached(call, streams)
        return 0
    if wants and not call.flags.text("console-socket"):
        with own_terminal() as streams:
            return _run_attached(call, streams)
    if wants:
        return _run_attached(call, bundle.detached_streams(call, wants_terminal=True, size=size))
    return _run_attached(call, Streams(Channels(), (0, 1, 2)))


def _run_detached(call: Invocation, streams: Streams) -> None:
    made = create.make(call, streams)
    bundle.write_pid(call, made.record.pid)
    _start(where.root(call), made)
    made.connection.close()


def _run_attached(call: Invocation, streams: Streams) -> int:
    root, name = where.root(call), call.arguments[0]
    made = create.make(call, streams)
    bundle.write_pid(call, made.record.pid)
    with forwarding(root, made, terminal_fd=0 if streams.channels.terminal else -1):
        _start(root, made)
        ended = wait.wait_on(root, made.connection, name)
    if not call.flags.on("keep"):
        delete.delete(root, name, force=True)
    return ended.status


def _start(root: StateRoot, made: Created) -> None:
    """Start; a container that cannot be started is not left behind."""
    try:
        start.start(root, made.record.id)
    except EnclosError:
        delete.delete(root, made.record.id, force=True)
        raise


@contextmanager
def own_terminal() -> Iterator[Streams]:
    """The caller's own terminal, raw, as the process' terminal."""
    rows, columns = terminal.window_size(0)
    with terminal.raw(0):
        channels = Channels(terminal=True, rows=rows, columns=columns)
        yield Streams(channels, (os.dup(0),))


@contextmanager
def forwarding(root: StateRoot, made: Created, *, terminal_fd: int) -> Iterator[None]:
    """Pass signals on to the container, and the window's size where there is a terminal."""
    name = made.record.id

    def forward(number: int, _frame: object) -> None:
        try:
            kill.kill(root, name, number)
        except EnclosError:
            return  # it has just ended

    def resize(_number: int, _frame: object) -> None:
        rows, columns = terminal.window_size(terminal_fd)
        attach.resize_container(root, name, rows=rows, columns=columns)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    if terminal_fd >= 0:
        before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
