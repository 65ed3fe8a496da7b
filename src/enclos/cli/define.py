"""From a command line to a container's definition: image, spec, files and volumes it needs.

Everything is looked at and planned before anything is written; a definition that cannot be
completed leaves nothing behind.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from enclos.cli import belongings, fetching, lookup, names, networking, textfile, wording
from enclos.cli.fetching import Ingredients
from enclos.cli.home import Home
from enclos.cli.parse import Parsed
from enclos.config import load
from enclos.errors import Exists
from enclos.ids import check_name, new_id
from enclos.linux import files, signals
from enclos.plan import container, runsecurity
from enclos.plan.container import ContainerPlan
from enclos.plan.runmounts import MountRequest, Source
from enclos.plan.runnetwork import RunNetwork
from enclos.plan.runoptions import RunOptions, Surroundings
from enclos.state import definitions, records
from enclos.state.definitions import Definition, Mount
from enclos.storage import volumes
from enclos.storage.architecture import host_architecture
from enclos.storage.store import ImageStore, hold

_TRIES: Final = 20


def define(home: Home, asked: Parsed, *, detach: bool) -> Definition:
    """Write the definition that a command line asks for; raises, and leaves nothing, on error."""
    _check_cidfile(asked)
    options = options_of(asked)
    if asked.given("name"):
        check_name(asked.text("name"))
    networking.check(home, asked)
    with fetching.collected_if_refused(home), hold(ImageStore(home.data_root)):
        ingredients = fetching.ingredients(home, asked)
        return _written(home, asked, options, ingredients=ingredients, detach=detach)


def _written(
    home: Home, asked: Parsed, options: RunOptions, *, ingredients: Ingredients, detach: bool
) -> Definition:
    container_id = new_id()
    network = networking.asked_for(home, asked, ingredients.config.exposed_ports)
    plan = _plan(home, container_id, options, ingredients, network)
    definition = _definition(asked, container_id, plan=plan, ingredients=ingredients, detach=detach)
    definition = replace(definition, network=networking.to_keep(network))
    with ExitStack() as undo:
        definition = _add(home, definition, named=asked.given("name"))
        undo.callback(definitions.remove, home.data_root, definition)
        _write_files(home, definition, plan)
        anonymous = [request.source for request in plan.mounts if request.anonymous]
        undo.callback(volumes.remove, belongings.volumes_of(home), anonymous)
        volumes.make(belongings.volumes_of(home), plan.mounts)
        _write_cidfile(asked, container_id)
        undo.pop_all()
    return definition


def _plan(
    home: Home,
    container_id: str,
    options: RunOptions,
    ingredients: Ingredients,
    network: RunNetwork,
) -> ContainerPlan:
    directory = lookup.directory(home, container_id)
    found = Surroundings(
        container_id=container_id,
        home=os.fspath(directory),
        rootfs=os.fspath(ingredients.directory or directory / "merged"),
        volumes=os.fspath(belongings.volumes_of(home)),
        directory=os.getcwd(),
        caller_env=load.inherited(),
        passwd=ingredients.passwd,
        group=ingredients.group,
        architecture=host_architecture(),
    )
    found = networking.surroundings(home, network, found)
    plan = container.container_spec(ingredients.config, options, found)
    volumes.check_sources(plan.mounts)
    return plan


def options_of(asked: Parsed) -> RunOptions:
    """The flags that bear on the specification, files read; raises `InvalidRequest`."""
    options = RunOptions(
        command=asked.operands[1:],
        entrypoint=_entrypoint(asked),
        env=asked.texts("env"),
        env_files=tuple(map(textfile.read, asked.texts("env-file"))),
        labels=asked.texts("label"),
        label_files=tuple(map(textfile.read, asked.texts("label-file"))),
        annotations=asked.texts("annotation"),
        workdir=asked.text("workdir"),
        user=asked.text("user"),
        groups=asked.texts("group-add"),
        hostname=asked.text("hostname"),
        domainname=asked.text("domainname"),
        tty=asked.on("tty"),
        read_only=asked.on("read-only"),
        privileged=asked.on("privileged"),
        cap_add=asked.texts("cap-add"),
        cap_drop=asked.texts("cap-drop"),
        security_opts=asked.texts("security-opt"),
        volumes=asked.texts("volume"),
        mounts=asked.texts("mount"),
        tmpfs=asked.texts("tmpfs"),
        shm_size=asked.text("shm-size"),
        memory=asked.text("memory"),
        memory_swap=asked.text("memory-swap"),
        memory_reservation=asked.text("memory-reservation"),
        cpus=asked.text("cpus"),
        cpu_shares=asked.text("cpu-shares"),
        cpu_period=asked.text("cpu-period"),
        cpu_quota=asked.text("cpu-quota"),
        cpuset_cpus=asked.text("cpuset-cpus"),
        cpuset_mems=asked.text("cpuset-mems"),
        blkio_weight=asked.text("blkio-weight"),
        pids_limit=asked.text("pids-limit"),
        oom_score_adj=asked.text("oom-score-adj"),
        ulimits=asked.texts("ulimit"),
        sysctls=asked.texts("sysctl"),
        seccomp_profile=_seccomp(asked.texts("security-opt")),
    )
    signals.parse(asked.text("stop-signal", "TERM"))
    return options


def _entrypoint(asked: Parsed) -> tuple[str, ...] | None:
    if not asked.given("entrypoint"):
        return None
    text = asked.text("entrypoint")
    return (text,) if text else ()


def _seccomp(security_opts: tuple[str, ...]) -> str:
    path = runsecurity.seccomp_file(RunOptions(security_opts=security_opts))
    return textfile.read(path).text if path else ""


def _definition(
    asked: Parsed,
    container_id: str,
    *,
    plan: ContainerPlan,
    ingredients: Ingredients,
    detach: bool,
) -> Definition:
    process, resources = plan.spec.process, plan.spec.linux and plan.spec.linux.resources
    memory, cpu = resources and resources.memory, resources and resources.cpu
    quota, period = (cpu.quota or 0, cpu.period or 100_000) if cpu else (0, 1)
    pids = resources and resources.pids
    image = ingredients.image
    remove = asked.on("rm")
    return Definition(
        id=container_id,
        name=asked.text("name"),
        created=records.now(),
        rootfs_kind=belongings.DIRECTORY if ingredients.directory else belongings.IMAGE,
        args=process.args if process else (),
        image=image.name if image else "",
        image_digest=image.digest if image else "",
        layers=tuple(reversed(image.chain)) if image else (),
        rootfs=os.fspath(ingredients.directory) if ingredients.directory else "",
        command=asked.operands[1:],
        entrypoint=_entrypoint(asked) or ingredients.config.entrypoint,
        env=process.env if process else (),
        workdir=process.cwd if process else "/",
        user=asked.text("user") or ingredients.config.user,
        groups=asked.texts("group-add"),
        hostname=plan.spec.hostname,
        tty=asked.on("tty"),
        interactive=asked.on("interactive"),
        detach=detach,
        auto_remove=remove,
        log=detach or asked.on("tty") or not remove,
        read_only=asked.on("read-only"),
        labels=plan.labels,
        annotations=plan.spec.annotations,
        mounts=tuple(map(_mount, plan.mounts)),
        cap_add=asked.texts("cap-add"),
        cap_drop=asked.texts("cap-drop"),
        stop_signal=asked.text("stop-signal") or ingredients.config.stop_signal,
        stop_timeout_s=wording.whole_number(asked.text("stop-timeout", "10"), "--stop-timeout"),
        memory_bytes=(memory.limit or 0) if memory else 0,
        cpus=quota / period,
        pids_limit=(pids.limit or 0) if pids else 0,
        template=not asked.on("no-template"),
    )


def _mount(request: MountRequest) -> Mount:
    words = ["ro"] if request.readonly else []
    words += request.options
    if request.kind is Source.VOLUME and not request.copy:
        words.append(belongings.NO_COPY)
    return Mount(str(request.kind), request.source, request.target, tuple(dict.fromkeys(words)))


def _add(home: Home, definition: Definition, *, named: bool) -> Definition:
    """Write it under its name, or under one that happens to be free."""
    for attempt in range(_TRIES):
        if not named:
            definition = replace(definition, name=names.suggest())
        try:
            definitions.add(home.data_root, definition)
        except Exists:
            if named or attempt == _TRIES - 1:
                raise
        else:
            return definition
    raise AssertionError("unreachable: the last attempt raises")


def _write_files(home: Home, definition: Definition, plan: ContainerPlan) -> None:
    directory = lookup.directory(home, definition.id)
    for file in plan.files:
        files.write_atomic(directory / file.name, file.text.encode(), mode=0o644)
    belongings.save_spec(home, definition.id, plan.spec)


def _check_cidfile(asked: Parsed) -> None:
    path = asked.text("cidfile")
    if path and os.path.lexists(path):
        raise Exists(
            f"the container id file {path} exists", hint="remove it, or name another --cidfile"
        )


def _write_cidfile(asked: Parsed, container_id: str) -> None:
    path = asked.text("cidfile")
    if path:
        files.write_atomic(Path(path), container_id.encode(), mode=0o644)
