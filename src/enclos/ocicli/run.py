"""`run`: create, start, wait, delete in one; or leave it running with --detach."""

from __future__ import annotations

from enclos.errors import EnclosError
from enclos.ocicli import bundle, create, where
from enclos.ocicli import start as starting
from enclos.ocicli.bundle import Streams
from enclos.ocicli.forward import forwarding
from enclos.ocicli.parse import Invocation
from enclos.sandbox import delete, start, wait
from enclos.sandbox.newcontainer import Created
from enclos.state.store import StateRoot


def run(call: Invocation) -> int:
    """See the table."""
    _, spec = bundle.read(call)
    wants = spec.process is not None and spec.process.terminal
    size = spec.process.console_size if spec.process else None
    if call.flags.on("detach"):
        streams = bundle.detached_streams(call, wants_terminal=wants, size=size)
        _run_detached(call, streams)
        return 0
    with bundle.attached_streams(call, wants_terminal=wants, size=size) as streams:
        return _run_attached(call, streams)


def _run_detached(call: Invocation, streams: Streams) -> None:
    made = create.make(call, streams)
    _start(where.root(call), made, ready=starting.awaited())
    made.connection.close()


def _run_attached(call: Invocation, streams: Streams) -> int:
    root, name = where.root(call), call.arguments[0]
    made = create.make(call, streams)
    own = streams.channels.terminal and streams.slave < 0
    with forwarding(root, name, terminal_fd=0 if own else -1):
        _start(root, made)
        ended = wait.wait_on(root, made.connection, name)
    if not call.flags.on("keep"):
        delete.delete(root, name, force=True)
    return ended.status


def _start(root: StateRoot, made: Created, *, ready: bool = False) -> None:
    """Start; a container that cannot be started is not left behind."""
    try:
        start.start(root, made.record.id, ready=ready)
    except (EnclosError, OSError):
        delete.delete(root, made.record.id, force=True)
        raise
