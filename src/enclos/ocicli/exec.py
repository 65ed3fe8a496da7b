"""`exec`: one more process in a running container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from enclos.errors import InvalidRequest, WrongState
from enclos.ids import new_id
from enclos.linux import files
from enclos.oci.execution import Changes, exec_process
from enclos.oci.load import dump_process, load_process
from enclos.oci.rules_process import check_process
from enclos.oci.types import Process
from enclos.ocicli import bundle, where
from enclos.ocicli.bundle import Streams
from enclos.ocicli.parse import Invocation
from enclos.ocicli.run import own_terminal
from enclos.plan import guestprocess
from enclos.sandbox import execute, reach
from enclos.sandbox.execute import NewProcess
from enclos.state.store import StateRoot
from enclos.wire.control import Channels

_PROCESS_BYTES: Final = 16 << 20


def run(call: Invocation) -> int:
    """See the table."""
    bundle.refuse_preserved(call)
    root, name = where.root(call), call.arguments[0]
    _, status = reach.container(root, name)
    if status == "paused" and call.flags.on("ignore-paused"):
        raise WrongState("cannot exec in a paused container", hint="resume it first")
    process = _process(call, root)
    check_process(process, where="process")
    if call.flags.on("detach"):
        streams = bundle.detached_streams(
            call, wants_terminal=process.terminal, size=process.console_size
        )
        new = _new(process, streams)
        pid = execute.run_with_standin(root, name, new, descriptors=streams.descriptors)
        bundle.write_pid(call, pid)
        return 0
    if process.terminal and not call.flags.text("console-socket"):
        with own_terminal() as streams:
            return _attached(root, name, process, streams)
    if process.terminal:
        streams = bundle.detached_streams(call, wants_terminal=True, size=process.console_size)
        return _attached(root, name, process, streams)
    return _attached(root, name, process, Streams(Channels(), (0, 1, 2)))


def _attached(root: StateRoot, name: str, process: Process, streams: Streams) -> int:
    new = _new(process, streams)
    connection = execute.run(root, name, new, descriptors=streams.descriptors)
    return execute.wait_process(connection, name, new.exec_id).status


def _new(process: Process, streams: Streams) -> NewProcess:
    guest = guestprocess.translate(process).process
    title = os.path.basename(process.args[0]) if process.args else "exec"
    return NewProcess(
        new_id()[:32], dump_process(guest), streams.channels, name=title, slave=streams.slave
    )


def _process(call: Invocation, root: StateRoot) -> Process:
    """The process: from a file, or the container's own with what the flags change."""
    file = call.flags.text("process")
    if file:
        try:
            return load_process(files.read_bounded(Path(file), _PROCESS_BYTES), file=file)
        except OSError as error:
            raise InvalidRequest(f"cannot read {file}: {error}") from error
    base = reach.kept_spec(root, call.arguments[0]).process or Process()
    flags = call.flags
    changes = Changes(
        args=call.arguments[1:],
        cwd=flags.text("cwd"),
        env=flags.texts("env"),
        user=flags.text("user"),
        additional_gids=flags.texts("additional-gids"),
        capabilities=flags.texts("cap"),
        terminal=flags.on("tty"),
        no_new_privileges=flags.on("no-new-privs"),
    )
    return exec_process(base, changes)
