"""`linux.intelRdt`: the machine's threads in a resctrl group of the host (decision 21)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from enclos.linux import resctrl
from enclos.oci.complaint import refusal
from enclos.oci.linux import IntelRdt
from enclos.oci.types import Spec
from enclos.sandbox import release
from enclos.sandbox.client import Connection
from enclos.state import ledger
from enclos.state.store import StateRoot
from enclos.wire import control as c
from enclos.wire import messages as m

_WHERE: Final = "linux.intelRdt"


def make(root: StateRoot, spec: Spec, container_id: str, *, undo: ExitStack) -> str:
    """The name of the container's group, empty where it asks for none.

    A group of its own is removed with it, one that `closID` names stays. Raises `InvalidRequest`
    where the host has no resctrl, and for a class that is not what is asked for.
    """
    asked = spec.linux.intel_rdt if spec.linux is not None else None
    if asked is None:
        return ""
    _refuse(asked)
    lines = schemata(asked)
    name = asked.clos_id or container_id
    if asked.clos_id and resctrl.exists(name):
        if not resctrl.says(name, lines):
            wrong = f"the group {name} is there with another schema"
            raise refusal(f"{_WHERE}.closID", wrong, "leave the schema away to join it")
        return name
    if asked.clos_id and not lines:
        wrong = f"there is no group {name}, and no schema to make it with"
        raise refusal(f"{_WHERE}.closID", wrong, "give schemata")
    if not asked.clos_id:
        ledger.of_container(root.container(container_id)).record(release.RESCTRL, name=name)
    undo.callback(resctrl.remove, name)
    resctrl.make(name)
    resctrl.write(name, lines)
    return name


def _refuse(asked: IntelRdt) -> None:
    if not resctrl.is_mounted():
        wrong = "the host has no resctrl file system mounted"
        hint = "with RDT in the processor: mount -t resctrl resctrl /sys/fs/resctrl"
        raise refusal(_WHERE, wrong, hint)
    if asked.enable_cmt or asked.enable_mbm or asked.enable_monitoring:
        wrong = "monitoring groups are not made"
        raise refusal(f"{_WHERE}.enableMonitoring", wrong, "read the host's own mon_data")


def schemata(asked: IntelRdt) -> tuple[str, ...]:
    """All lines that are asked for, in the order in which they count."""
    older = (asked.l3_cache_schema, asked.mem_bw_schema)
    lines = [line.strip() for text in (*older, *asked.schemata) for line in text.splitlines()]
    return tuple(line for line in lines if line)


def join(name: str, connection: Connection) -> None:
    """Put the threads of the machine behind `connection` into the group."""
    if name:
        helpers = connection.call("status", m.Nothing(), c.Status).pids
        resctrl.add(name, helpers.values())


def change(spec: Spec, container_id: str, *, l3_cache: str, bandwidth: str) -> Spec:
    """Write a new schema for a container that has a group; the spec that says so.

    Raises `InvalidRequest` for one that has none.
    """
    linux = spec.linux
    if linux is None or linux.intel_rdt is None:
        wrong = "the container was created without a class of the processor's cache"
        raise refusal(_WHERE, wrong, "create it with linux.intelRdt in config.json")
    old = linux.intel_rdt
    new = replace(
        old,
        l3_cache_schema=l3_cache or old.l3_cache_schema,
        mem_bw_schema=bandwidth or old.mem_bw_schema,
    )
    lines = schemata(IntelRdt(l3_cache_schema=l3_cache, mem_bw_schema=bandwidth))
    resctrl.write(old.clos_id or container_id, lines)
    return replace(spec, linux=replace(linux, intel_rdt=new))
