"""Removes a container: what runs of it, its record, its definition with all it wrote."""

from __future__ import annotations

import os

from enclos.cli import belongings, console, lookup
from enclos.cli.home import Home
from enclos.cli.lookup import Container
from enclos.errors import EnclosError, NotFound, Unclean, WrongState
from enclos.linux import files
from enclos.plan.runmounts import Source
from enclos.sandbox import delete, wait
from enclos.state import definitions, records
from enclos.state.definitions import Definition
from enclos.storage import volumes


def remove(home: Home, container: Container, *, force: bool = False) -> None:
    """Raises `WrongState` for a running container unless `force`, and `Unclean`."""
    container.defined()
    if container.running and not force:
        raise WrongState(
            f"cannot remove container {container.name}: it is {container.status}",
            hint="stop it first, or remove with --force",
        )
    drop(home, container.id)


def drop(home: Home, container_id: str) -> None:
    """Remove everything of a container of ours, whatever it does; gone already is done."""
    try:
        delete.delete(home.root, container_id, force=True)
    except NotFound:
        container_id = definitions.directory(home.data_root, container_id).name
    try:
        definition = definitions.load(home.data_root, container_id)
        definitions.remove(home.data_root, definition)
        _remove_volumes(home, definition)
    except NotFound:
        return
    except Unclean:
        if not drop_damaged(home, container_id):
            raise


def _remove_volumes(home: Home, definition: Definition) -> None:
    """Volumes that were made for this container only."""
    root = home.data_root / "volumes"
    names = [one.source for one in definition.mounts if one.kind == Source.VOLUME]
    volumes.remove(root, [name for name in names if volumes.is_anonymous(root, name)])


def drop_run(home: Home, container_id: str, run: str) -> None:
    """Remove a container of `--rm` that has ended, unless it was started again since.

    `run` is when the record of the run that has ended was made.
    """
    try:
        with belongings.alone(home, container_id):
            if _last_run(home, container_id) in {"", run}:
                drop(home, container_id)
    except NotFound:
        return  # somebody has removed it


def _last_run(home: Home, container_id: str) -> str:
    try:
        return records.load_container(home.root, container_id).created
    except NotFound:
        return ""


def drop_damaged(home: Home, container_id: str) -> bool:
    """Remove a container whose definition cannot be read; whether there was one."""
    directory = lookup.directory(home, container_id)
    try:
        return files.remove_tree(directory)
    except OSError as error:
        raise Unclean(f"cannot remove all of {directory}: {error}", hint="see what uses it") from (
            error
        )


def remove_when_ended(home: Home, container_id: str, run: str) -> None:
    """Have a process in the background remove a container that is left running (`-d --rm`)."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    code = 1
    try:
        if os.fork() == 0:
            _in_background(home, container_id, run)
        code = 0
    finally:
        os._exit(code)


def _in_background(home: Home, container_id: str, run: str) -> None:
    code = 1
    try:
        os.setsid()
        os.chdir("/")
        console.silence()
        os.closerange(3, 1 << 16)
        wait.wait(home.root, container_id)
        drop_run(home, container_id, run)
        code = 0
    except (EnclosError, OSError):
        code = 1  # sweep finds what is left
    finally:
        os._exit(code)
