"""`update`: change containers' limits, at once where they run and for every start to come."""

from __future__ import annotations

from dataclasses import replace

from enclos.cli import belongings, complain, lookup
from enclos.cli.eachone import each
from enclos.cli.home import Home, open_home
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest
from enclos.oci import rules_resources
from enclos.oci.linux import Linux
from enclos.oci.resources import Cpu, Memory, Pids, Resources
from enclos.plan import changes, runresources
from enclos.plan.runoptions import RunOptions
from enclos.sandbox import update


def run(asked: Parsed) -> int:
    """Print the names of what was changed."""
    new = _asked(asked)
    home = open_home()
    return each(asked.operands, lambda name: _update(home, lookup.find(home, name), new))


def _asked(asked: Parsed) -> Resources:
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


def _update(home: Home, container: Container, new: Resources) -> None:
    definition = container.defined()
    spec = belongings.spec_of(home, definition.id)
    merged = changes.merge(update.limits_of(spec), new)
    rules_resources.check_resources(merged)
    if container.running:
        for note in update.update(home.place(), container.id, new):
            complain.say(f"container {container.name}: {note}")
    linux = replace(spec.linux or Linux(), resources=merged)
    belongings.save_spec(home, definition.id, replace(spec, linux=linux))
