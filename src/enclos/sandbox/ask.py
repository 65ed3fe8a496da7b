"""What a running container's guest says about it: statistics, processes."""

from __future__ import annotations

from enclos.sandbox import reach
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m


def stats(root: StateRoot, container_id: str) -> m.Stats:
    """The container's cgroup files in the guest; raises `WrongState` if it is stopped."""
    _, connection = reach.living(root, container_id)
    answer = connection.call("stats", c.Named(container_id), m.Stats)
    connection.close()
    return answer


def processes(root: StateRoot, container_id: str) -> m.Processes:
    """The container's processes as the guest numbers them."""
    _, connection = reach.living(root, container_id)
    answer = connection.call("processes", c.Named(container_id), m.Processes)
    connection.close()
    return answer


def status(root: StateRoot, container_id: str) -> c.Status:
    """The sandbox behind a container: its machine, its helpers, its start's phases."""
    _, connection = reach.living(root, container_id)
    answer = connection.call("status", m.Nothing(), c.Status)
    connection.close()
    return answer
