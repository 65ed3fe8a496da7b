"""`exec`: run one more process in a running container."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from enclos.linux import pid, pidfd
from enclos.linux.pid import ProcessRef
from enclos.oci.state import Operation, Status, check
from enclos.sandbox import client, hostgroup, reach, standin
from enclos.sandbox.client import Connection
from enclos.state import records
from enclos.state.store import StateRoot
from enclos.structs import dataclass
from enclos.wire import control as c


@dataclass(frozen=True, slots=True)
class NewProcess:
    """A process to run; `process` is an OCI process object as JSON text.

    `arguments` are what its stand-in shows, `slave` is its terminal's slave or -1.
    """

    exec_id: str
    process: str
    channels: c.Channels
    arguments: tuple[str, ...] = ("exec",)
    slave: int = -1
    oom_score_adj: int | None = None


def run(
    root: StateRoot, container_id: str, new: NewProcess, *, descriptors: Sequence[int]
) -> Connection:
    """Start it without a stand-in; `wait_process` on the returned connection follows it, and the
    descriptors are the process' as long as that is open."""
    check_running(root, container_id)
    _, connection = reach.living(root, container_id)
    request = c.Exec(container_id, new.exec_id, new.process, new.channels, tied=True)
    connection.call("exec", request, c.Pid, descriptors=descriptors)
    return connection


def wait_process(connection: Connection, container_id: str, exec_id: str) -> c.Ended:
    """How the process ended; its output has been flushed."""
    try:
        return connection.call("wait", c.Named(container_id, exec_id), c.Ended, timeout_s=None)
    finally:
        connection.close()


def run_with_standin(
    root: StateRoot, container_id: str, new: NewProcess, *, descriptors: Sequence[int]
) -> ProcessRef:
    """Start it with a stand-in below the caller's monitor; returns the stand-in."""
    record = check_running(root, container_id)
    _, connection = reach.living(root, container_id)
    duty = standin.Duty(container_id, new.exec_id, new.arguments, new.slave, new.oom_score_adj)
    standing = client.open_socket(root.sandbox(record.sandbox_id))
    with hostgroup.entrance(record.cgroup) as entrance:
        number = standin.fork_exec(record.process, duty, standing, entrance=entrance)
    process = ProcessRef(number, pid.start_time(number))
    try:
        kept = records.ExecRecord(new.exec_id, process.pid, process.start)
        records.save_exec(root, container_id, kept)  # the supervisor removes it when it ends
        request = c.Exec(container_id, new.exec_id, new.process, new.channels)
        connection.call("exec", request, c.Pid, descriptors=descriptors)
    except BaseException:
        pidfd.send_signal(process, signal.SIGKILL)
        records.remove_exec(root, container_id, new.exec_id)
        raise
    standin.tell_size(connection, duty)
    standin.report_for_duty(standing, duty, number)
    connection.close()
    return process


def check_running(root: StateRoot, container_id: str) -> records.ContainerRecord:
    """The container's record; raises `NotFound` and, with runc's words, `WrongState`."""
    record, status = reach.container(root, container_id)
    check(Operation.EXEC, Status(status), container_id)
    return record
