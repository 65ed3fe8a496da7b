"""From a definition to a running container: what `run`, `start` and `restart` have in common.

The spec was planned when the container was defined and lies beside the definition; a start
makes a new sandbox from it, with the same id and the same writable layer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from enclos.cli import belongings, complain, lookup, networking, removal
from enclos.cli.console import Console
from enclos.cli.home import Home
from enclos.errors import EnclosError, NotFound, WrongState
from enclos.linux import files, libc
from enclos.plan.runmounts import MountRequest, Source
from enclos.sandbox import create, delete, start
from enclos.sandbox.client import Connection
from enclos.sandbox.newcontainer import Created, NewContainer
from enclos.state import records
from enclos.state.definitions import Definition
from enclos.storage import rootfs, volumes
from enclos.storage.rootfs import LayeredRoot
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m

NOTICE: Final = "no usable KVM: the machine is emulated, which is no isolation boundary"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start: with whose streams (none: nobody's, output is recorded), and from what."""

    console: Console | None = None
    template: bool = True
    record_output: bool = True


@dataclass(frozen=True, slots=True)
class Launched:
    """A started container: a connection to its supervisor, and which of its runs this is."""

    connection: Connection
    run: str


def launch(
    home: Home,
    definition: Definition,
    how: Launch,
    *,
    before_start: Callable[[], None] = lambda: None,
) -> Launched:
    """Create and start; raises `WrongState` if it is running.

    `before_start` is called when everything but the program is there. Raises, and leaves
    nothing behind but the definition, if anything fails.
    """
    with belongings.alone(home, definition.id):
        if lookup.find(home, definition.id).running:
            raise WrongState(
                f"container {definition.name} is running",
                hint=f"run: enclos attach {definition.name}",
            )
        return launch_alone(home, definition, how, before_start=before_start)


def launch_alone(
    home: Home,
    definition: Definition,
    how: Launch,
    *,
    before_start: Callable[[], None] = lambda: None,
) -> Launched:
    """The same for who has `belongings.alone` and knows that it is not running."""
    _forget_last(home, definition.id)
    created = _create(home, definition, how)
    try:
        _join(how.console, created.connection, definition)
        before_start()
        start.start(home.root, definition.id)
    except BaseException:
        delete.delete(home.root, definition.id, force=True)
        raise
    _note_start(home, definition.id)
    return Launched(created.connection, created.record.created)


def _forget_last(home: Home, container_id: str) -> None:
    try:
        delete.delete(home.root, container_id)
    except NotFound:
        return  # never started, or the host was


def _create(home: Home, definition: Definition, how: Launch) -> Created:
    console = how.console
    channels = c.Channels(stdin=definition.interactive, terminal=definition.tty)
    plain = console is not None and not definition.tty
    log = belongings.log_of(home, definition.id)
    ready = networking.ready(home, definition)
    with ExitStack() as mounted:  # ours only until the sandbox has its own
        new = NewContainer(
            id=definition.id,
            bundle=lookup.directory(home, definition.id),
            spec=ready.spec,
            channels=console.channels if console else channels,
            stdio=console.descriptors if console and plain else (),
            log=os.fspath(log) if how.record_output else "",
            owner="root",
            template=how.template and definition.template,
            tied=True,
            uplink=ready.uplink,
            memberships=ready.memberships,
            told=ready.told,
            mount_root=lambda: _mount(home, definition, mounted),
        )
        created = create.create(home.place(), new)
    if ready.memberships:
        from enclos.cli import linking  # late: few containers are in a network with a name

        linking.tell(home, definition.id)
    return created


def _mount(home: Home, definition: Definition, mounted: ExitStack) -> Path:
    """The root file system in place, new volumes filled from it."""
    root = belongings.root_of(home, definition)
    place = rootfs.mount(root, volatile=definition.auto_remove)
    if isinstance(root, LayeredRoot):
        mounted.callback(libc.umount2, os.fspath(place), libc.MNT_DETACH)
    requests = [
        MountRequest(
            Source.VOLUME, one.target, one.source, copy=belongings.NO_COPY not in one.options
        )
        for one in definition.mounts
        if one.kind == Source.VOLUME
    ]
    if requests:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            volumes.fill(belongings.volumes_of(home), requests, descriptor)
        finally:
            os.close(descriptor)
    return place


def _join(console: Console | None, connection: Connection, definition: Definition) -> None:
    """A terminal is joined like this, for its end is not the end of the program's input."""
    if console is None:
        return
    if definition.tty:
        request = c.Attach(definition.id, console.channels.stdin, stdin_ends=False)
        connection.call("attach", request, m.Nothing, descriptors=console.descriptors)
    console.handed_over()


def _note_start(home: Home, container_id: str) -> None:
    mark = lookup.directory(home, container_id) / lookup.LAST_START
    files.write_atomic(mark, records.now().encode(), mode=0o600)


def stay_behind(home: Home, definition: Definition, launched: Launched) -> None:
    """After a start in the background: see to the removal that was asked for."""
    if definition.auto_remove:
        removal.remove_when_ended(home, definition.id, launched.run)


def finish(home: Home, definition: Definition, launched: Launched, *, ended: bool) -> None:
    """After a run in the foreground: remove now, or when it ends if the user left it running."""
    if not ended:
        stay_behind(home, definition, launched)
    elif definition.auto_remove:
        removal.drop_run(home, definition.id, launched.run)


def notice_emulation(home: Home, container_id: str) -> None:
    """Say once that emulation is no isolation boundary, unless a setting forbids it."""
    if not home.settings.emulation_notice:
        return
    try:
        sandbox = records.load_sandbox(home.root, container_id)
    except EnclosError:
        return  # it has ended already, which will be told
    if sandbox.accelerator == "tcg":
        complain.say(NOTICE)
