"""Release what a sandbox or a container holds on the host, by ledgers and records alone.

The supervisor records what it takes (`record_process`); its own orderly end removes the whole
directory. After a crash the same ledger tells anybody what may still be there. Mounts need no
entry: they end with the supervisor's mount namespace.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from enclos.errors import NotFound, Unclean
from enclos.linux import pid, pidfd, resctrl
from enclos.linux.cgroup import group, layout
from enclos.linux.pid import ProcessRef
from enclos.network import taps
from enclos.state import ledger, records
from enclos.state.ledger import Entry, Fields, Ledger, Release
from enclos.state.store import StateRoot

CGROUP: Final = "cgroup"
RESCTRL: Final = "resctrl"
FILE: Final = "file"
ENDPOINT: Final = "endpoint"
"""Kinds of ledger entries."""


def record_process(held: Ledger, name: str, number: int) -> None:
    """Note a helper process, which would only outlive its supervisor if the kernel erred."""
    held.record("process", name=name, pid=number, start=pid.start_time(number))


def holding_process(held: Ledger, name: str, number: int) -> AbstractContextManager[Entry]:
    """The same for one that may end before the sandbox does."""
    return held.holding("process", name=name, pid=number, start=pid.start_time(number))


def end_process(process: ProcessRef) -> None:
    """Kill a process if it is still the one that was noted; raises `Unclean` if it stays."""
    if process.pid and process.alive() and pidfd.kill_all([process]):
        raise Unclean(f"process {process.pid} does not end", hint="see its state in /proc")


def sandbox(root: StateRoot, sandbox_id: str) -> None:
    """End a sandbox's processes and remove its directory; gone already is done."""
    supervisor = _supervisor(root, sandbox_id)
    if supervisor is not None:
        end_process(supervisor)
    ledger.of_sandbox(root.sandbox(sandbox_id)).replay(RELEASES)
    records.remove_sandbox(root, sandbox_id)


def container(root: StateRoot, container_id: str) -> None:
    """Release what belongs to a container whose processes have ended; forget it."""
    ledger.of_container(root.container(container_id)).replay(RELEASES)
    records.remove_container(root, container_id)


def cgroup(fields: Fields) -> None:
    """Kill what is left in a container's control group and remove it; raises `Unclean`.

    Whoever made it made sure that it held no processes of others. Another group that was made
    at the same path since is another container's, and left alone.
    """
    host = layout.detect()
    path, known = str(fields["path"]), int(fields.get("identity", 0))
    found = group.find(host, path)
    if known and group.identity(found) != known:
        return
    if known:
        group.kill(found)
    group.remove(found)
    parent, _, _ = path.rpartition("/")
    if parent == layout.OWN_PARENT:
        group.remove_if_empty(group.find(host, parent))


def _remove_class(fields: Fields) -> None:
    resctrl.remove(str(fields["name"]))


def _remove_file(fields: Fields) -> None:
    Path(str(fields["path"])).unlink(missing_ok=True)


def _supervisor(root: StateRoot, sandbox_id: str) -> ProcessRef | None:
    """The supervisor; None if it died before it wrote its record, or that is damaged."""
    try:
        return records.load_sandbox(root, sandbox_id).supervisor
    except (NotFound, Unclean):
        return None


def _disconnect(fields: Fields) -> None:
    from enclos.network import endpoints  # late: few containers are in networks with names

    endpoints.release(fields)


def _end_noted(fields: Fields) -> None:
    end_process(ProcessRef(int(fields["pid"]), int(fields["start"])))


RELEASES: Final[dict[str, Release]] = {
    "process": _end_noted,
    CGROUP: cgroup,
    taps.LEDGER_KIND: taps.release,
    ENDPOINT: _disconnect,
    RESCTRL: _remove_class,
    FILE: _remove_file,
}
"""How each kind of entry is undone."""
