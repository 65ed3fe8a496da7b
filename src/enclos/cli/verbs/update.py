"""`update`: change containers' limits, at once where they run and for every start to come."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

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

_FLAGS: Final = (
    "blkio-weight", "cpu-period", "cpu-quota", "cpu-shares", "cpus", "cpuset-cpus",
    "cpuset-mems", "memory", "memory-reservation", "memory-swap", "pids-limit",
)  # fmt: skip


def run(asked: Parsed) -> int:
    """Print the names of what was changed."""
    new = _asked(asked)
    home = open_home()
    return each(asked.operands, lambda name: _update(home, lookup.find(home, name), new))


def _asked(asked: Parsed) -> Resources:
    """Only what was asked for; raises `InvalidRequest` naming the flag."""
    if not any(asked.given(name) for name in _FLAGS):
        raise InvalidRequest(
            "nothing to change", hint="use " + ", ".join(f"--{name}" for name in _FLAGS)
        )
    options = RunOptions(
        cpus=asked.text("cpus"),
        cpu_shares=asked.text("cpu-shares"),
        cpu_period=asked.text("cpu-period"),
        cpu_quota=asked.text("cpu-quota"),
        cpuset_cpus=asked.text("cpuset-cpus"),
        cpuset_mems=asked.text("cpuset-mems"),
        blkio_weight=asked.text("blkio-weight"),
        memory=asked.text("memory"),
        memory_reservation=asked.text("memory-reservation"),
        memory_swap=asked.text("memory-swap"),
        pids_limit=asked.text("pids-limit"),
    )
    found = runresources.resources(options)
    cpu, memory, pids = found.cpu, found.memory, found.pids
    if asked.given("cpus") and (cpu is None or cpu.quota is None):
        cpu = replace(cpu or Cpu(), quota=-1)
    if asked.given("memory") and (memory is None or memory.limit is None):
        memory = replace(memory or Memory(), limit=-1)
    if asked.given("pids-limit") and pids is None:
        pids = Pids(-1)
    return Resources(cpu=cpu, memory=memory, pids=pids, block_io=found.block_io)


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
