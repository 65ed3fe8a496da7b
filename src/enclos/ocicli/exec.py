"""`exec`: one more process in a running container."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

from enclos.errors import EnclosError, InvalidRequest
from enclos.ids import new_id
from enclos.linux import files, fork, pidfd
from enclos.linux.pid import ProcessRef
from enclos.oci.execution import Changes, exec_process
from enclos.oci.load import dump_process, load_process
from enclos.oci.rules_process import check_process
from enclos.oci.types import Process, Spec
from enclos.ocicli import bundle, where
from enclos.ocicli.bundle import Streams
from enclos.ocicli.forward import forwarding
from enclos.ocicli.parse import Invocation
from enclos.plan import guestprocess
from enclos.sandbox import execute, reach
from enclos.sandbox.execute import NewProcess
from enclos.state.store import StateRoot

_PROCESS_BYTES: Final = 16 << 20


def run(call: Invocation) -> int:
    """See the table."""
    bundle.refuse_preserved(call)
    root, name = where.root(call), call.arguments[0]
    if call.flags.on("ignore-paused"):
        reach.wait_resumed(root, name)
    execute.check_running(root, name)
    process = _process(call, reach.kept_spec(root, name))
    if call.flags.on("detach"):
        streams = bundle.detached_streams(
            call, wants_terminal=process.terminal, size=process.console_size
        )
        _standing(call, root, _new(process, streams), streams)
        return 0
    with bundle.attached_streams(
        call, wants_terminal=process.terminal, size=process.console_size
    ) as streams:
        return _attached(call, root, process, streams)


def _attached(call: Invocation, root: StateRoot, process: Process, streams: Streams) -> int:
    """Without a stand-in, unless somebody wants its pid: then it is our child, as runc's."""
    name, new = call.arguments[0], _new(process, streams)
    terminal_fd = 0 if streams.channels.terminal and streams.slave < 0 else -1
    with forwarding(root, name, exec_id=new.exec_id, terminal_fd=terminal_fd):
        if call.flags.text("pid-file") or call.flags.text("pidfd-socket"):
            fork.become_subreaper()
            standin = _standing(call, root, new, streams)
            return os.waitstatus_to_exitcode(os.waitpid(standin.pid, 0)[1])
        connection = execute.run(root, name, new, descriptors=streams.descriptors)
        return execute.wait_process(connection, name, new.exec_id).status


def _standing(call: Invocation, root: StateRoot, new: NewProcess, streams: Streams) -> ProcessRef:
    """Start it with a stand-in, whose pid whoever asked for has been told."""
    name = call.arguments[0]
    standin = execute.run_with_standin(root, name, new, descriptors=streams.descriptors)
    try:
        bundle.hand_out(call, standin.pid)
    except EnclosError:
        pidfd.send_signal(standin, signal.SIGKILL)
        raise
    return standin


def _new(process: Process, streams: Streams) -> NewProcess:
    return NewProcess(
        new_id()[:32],
        dump_process(process),
        streams.channels,
        arguments=process.args,
        slave=streams.slave,
        oom_score_adj=process.oom_score_adj,
    )


def _process(call: Invocation, spec: Spec) -> Process:
    """The process as the guest runs it: from a file, or the container's own with what the flags
    change."""
    file = call.flags.text("process")
    process = _from_file(file) if file else _from_flags(call, spec.process or Process())
    check_process(process, where="process")
    return guestprocess.translate(process, cpus=guestprocess.host_cpus(spec.linux)).process


def _from_file(file: str) -> Process:
    try:
        return load_process(files.read_bounded(Path(file), _PROCESS_BYTES), file=file)
    except OSError as error:
        raise InvalidRequest(f"cannot read {file}: {error}") from error


def _from_flags(call: Invocation, base: Process) -> Process:
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
