"""`exec`: run one more program in a running container."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from enclos.cli import console, keys, lookup, session, textfile
from enclos.cli.follow import Followed, stoppable
from enclos.cli.home import Home, open_home
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.config import load
from enclos.errors import WrongState
from enclos.ids import new_id
from enclos.oci.load import dump_process
from enclos.oci.rules_process import check_process
from enclos.oci.types import Process, User
from enclos.plan import capabilities, runprocess, users
from enclos.plan.imageconfig import ImageConfig
from enclos.plan.runoptions import RunOptions
from enclos.sandbox import execute, reach
from enclos.sandbox.execute import NewProcess
from enclos.storage import merged
from enclos.storage.rootfs import PlainRoot
from enclos.wire.control import Channels


def run(asked: Parsed) -> int:
    """The program's exit status; with --detach 0 once it runs."""
    tty, interactive = asked.on("tty"), asked.on("interactive")
    detach = asked.on("detach")
    if not detach:
        console.check(tty=tty, interactive=interactive)
    home = open_home()
    container = lookup.find(home, asked.operands[0])
    _check(container)
    new = _process(home, container, asked)
    check_process(new)
    process = dump_process(new)
    with stoppable():
        if detach:
            return _in_background(home, container, process, tty=tty)
        return _in_foreground(home, container, asked, process=process)


def _in_background(home: Home, container: Container, process: str, *, tty: bool) -> int:
    """Nobody reads its output."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    new = NewProcess(new_id(), process, Channels(stdin=False, terminal=tty))
    descriptors = (null,) if tty else (null, null)
    execute.run(home.root, container.id, new, descriptors=descriptors).close()
    os.close(null)
    return 0


def _in_foreground(home: Home, container: Container, asked: Parsed, *, process: str) -> int:
    tty = asked.on("tty")
    with console.opened(
        tty=tty,
        interactive=asked.on("interactive"),
        detach_keys=asked.text("detach-keys", keys.DEFAULT),
    ) as opened:
        new = NewProcess(new_id(), process, opened.channels)
        connection = execute.run(home.root, container.id, new, descriptors=opened.descriptors)
        opened.handed_over()
        followed = Followed(
            connection, container.id, new.exec_id, size=opened.size if tty else None
        )
        ended = session.stay(home, followed, opened)
    return session.status_of(ended)


def _check(container: Container) -> None:
    if container.status == "paused":
        raise WrongState(
            f"cannot exec in container {container.name}: it is paused",
            hint=f"run: enclos unpause {container.name}",
        )
    if not container.running:
        raise WrongState(
            f"cannot exec in container {container.name}: it is not running",
            hint=f"run: enclos start {container.name}",
        )


def _process(home: Home, container: Container, asked: Parsed) -> Process:
    """The container's own process, with what is asked for in its place."""
    spec = reach.kept_spec(home.root, container.id)
    base = spec.process or Process(cwd="/")
    base = _as_user(container, base, asked.text("user"))
    if asked.on("privileged") and base.capabilities is not None:
        everything = capabilities.choose((), (), privileged=True)
        sets = replace(base.capabilities, bounding=everything, effective=everything,
                       permitted=everything)  # fmt: skip
        base = replace(base, capabilities=sets)
    options = RunOptions(
        command=asked.operands[1:],
        env=asked.texts("env"),
        env_files=tuple(map(textfile.read, asked.texts("env-file"))),
        workdir=asked.text("workdir"),
        tty=asked.on("tty"),
    )
    own = ImageConfig(env=base.env, working_dir=base.cwd)
    return replace(
        base,
        terminal=asked.on("tty"),
        args=runprocess.arguments(ImageConfig(), options),
        env=runprocess.environment(
            own,
            options,
            hostname=spec.hostname or container.id[: lookup.SHORT],
            home="/",
            caller=load.inherited(),
        ),
        cwd=runprocess.working_directory(own, options),
    )


def _as_user(container: Container, base: Process, user: str) -> Process:
    """The process as another user, by the container's own accounts as they are now."""
    if not user or container.record is None:
        return base
    root = PlainRoot(Path(f"/proc/{container.record.pid}/root"))
    texts = [merged.read_text(root, path) for path in ("/etc/passwd", "/etc/group")]
    found = users.resolve_user(user, *texts)
    sets = base.capabilities
    if sets is not None:
        held = sets.bounding if found.uid == 0 else ()
        sets = replace(sets, effective=held, permitted=held, inheritable=(), ambient=())
    return replace(
        base,
        user=User(uid=found.uid, gid=found.gid, additional_gids=found.groups),
        capabilities=sets,
        env=(*(one for one in base.env if not one.startswith("HOME=")), f"HOME={found.home}"),
    )
