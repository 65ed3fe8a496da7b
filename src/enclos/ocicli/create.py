"""`create`: a container from a bundle, up to the moment before its program runs."""

from __future__ import annotations

import os

from enclos.config import load
from enclos.errors import EnclosError
from enclos.ocicli import bundle, where
from enclos.ocicli.bundle import Streams
from enclos.ocicli.parse import Invocation
from enclos.plan.notices import VARIABLE
from enclos.sandbox import create, delete
from enclos.sandbox.newcontainer import Created, NewContainer


def run(call: Invocation) -> int:
    """See the table."""
    _, spec = bundle.read(call)
    wants = spec.process is not None and spec.process.terminal
    size = spec.process.console_size if spec.process else None
    made = make(call, bundle.detached_streams(call, wants_terminal=wants, size=size))
    made.connection.close()
    return 0


def make(call: Invocation, streams: Streams) -> Created:
    """Create the container with these streams, and tell who asked its pid."""
    path, spec = bundle.read(call)
    new = NewContainer(
        id=call.arguments[0],
        bundle=path,
        spec=spec,
        channels=streams.channels,
        stdio=streams.descriptors,
        slave=streams.slave,
        owner=_owner(),
        manager=where.manager(call),
        notify=load.variable(VARIABLE),
    )
    made = create.create(where.place(call), new)
    try:
        bundle.hand_out(call, made.record.pid)
    except (EnclosError, OSError):
        made.connection.close()
        delete.delete(where.root(call), new.id, force=True)
        raise
    return made


def _owner() -> str:
    """The name of who calls, as runc's state has it."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""
