"""`update`: change containers' limits, at once where they run and for every start to come."""

from __future__ import annotations

from dataclasses import replace

from enclos.cli import belongings, complain, lookup
from enclos.cli.eachone import each
from enclos.cli.home import Home, open_home
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest
from enclos.oci import load
from enclos.oci.linux import Linux
from enclos.oci.resources import Cpu, Memory, Pids, Resources
from enclos.oci.types import Spec
from enclos.plan import runresources
from enclos.plan.runoptions import RunOptions
from enclos.sandbox import ask
from enclos.state import records


def run(asked: Parsed) -> int:
    """Print the names of what was changed."""
    changes = _changes(asked)
    home = open_home()
    return each(asked.operands, lambda name: _update(home, lookup.find(home, name), changes))


def _changes(asked: Parsed) -> Resources:
    """Only what was asked for; raises `InvalidRequest` naming the flag."""
    names = ("cpus", "cpu-shares", "memory", "pids-limit")
    if not any(asked.given(name) for name in names):
        raise InvalidRequest(
            "nothing to change", hint="use " + ", ".join(f"--{name}" for name in names)
        )
    options = RunOptions(
        cpus=asked.text("cpus"),
        cpu_shares=asked.text("cpu-shares"),
        memory=asked.text("memory"),
        pids_limit=asked.text("pids-limit"),
    )
    found = runresources.resources(options)
    cpu, memory, pids = found.cpu, found.memory, found.pids
    if cpu is None and asked.given("cpus"):
        cpu = Cpu(quota=-1)
    if memory is None and asked.given("memory"):
        memory = Memory(limit=-1)
    if pids is None and asked.given("pids-limit"):
        pids = Pids(-1)
    return Resources(cpu=cpu, memory=memory, pids=pids)


def _update(home: Home, container: Container, changes: Resources) -> None:
    definition = container.defined()
    if container.running:
        ask.update(home.root, container.id, load.dump_resources(changes))
        _warn_about_machine(home, container, changes)
    spec = belongings.spec_of(home, definition.id)
    belongings.save_spec(home, definition.id, _changed(spec, changes))


def _changed(spec: Spec, changes: Resources) -> Spec:
    linux = spec.linux or Linux()
    old = linux.resources or Resources()
    memory = changes.memory or old.memory
    resources = replace(
        old,
        cpu=_merged_cpu(old.cpu, changes.cpu),
        memory=None if memory is not None and memory.limit == -1 else memory,
        pids=changes.pids or old.pids,
    )
    return replace(spec, linux=replace(linux, resources=resources))


def _merged_cpu(old: Cpu | None, new: Cpu | None) -> Cpu | None:
    if old is None or new is None:
        return new or old
    return replace(
        old,
        shares=new.shares if new.shares is not None else old.shares,
        quota=new.quota if new.quota is not None else old.quota,
        period=new.period if new.period is not None else old.period,
    )


def _warn_about_machine(home: Home, container: Container, changes: Resources) -> None:
    """A running machine keeps its size: a limit above it is in force, but cannot be reached."""
    limit = changes.memory.limit if changes.memory else None
    if limit is None or container.record is None:
        return
    machine = records.load_sandbox(home.root, container.record.sandbox_id)
    if limit < 0 or limit > machine.memory_bytes:
        complain.say(
            f"container {container.name}: its machine keeps {machine.memory_bytes >> 20} MiB "
            "until it is started again"
        )
