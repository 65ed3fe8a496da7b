"""`cp`: copy files between the host and a container, running or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from enclos.cli import belongings, lookup
from enclos.cli.home import Home, open_home
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest, NotFound
from enclos.storage import rootfs, transfer

_USAGE = "write one side as CONTAINER:PATH, the other as a path or -"


def run(asked: Parsed) -> int:
    """Says nothing; `-` is a tar archive on standard input or output."""
    source, target = asked.operands
    from_name, from_path = _split(source)
    to_name, to_path = _split(target)
    if bool(from_name) == bool(to_name):
        both = "both" if from_name else "neither"
        raise InvalidRequest(f"cannot copy: {both} of the paths is in a container", hint=_USAGE)
    home = open_home()
    archive, follow = asked.on("archive"), asked.on("follow-link")
    with _root(home, lookup.find(home, from_name or to_name)) as root_fd:
        if from_name and target == "-":
            transfer.stream_out(root_fd, from_path, output_fd=1, follow=follow)
        elif from_name:
            transfer.copy_out(root_fd, from_path, target, archive=archive, follow=follow)
        elif source == "-":
            transfer.stream_in(root_fd, to_path, input_fd=0)
        else:
            transfer.copy_in(root_fd, source, to_path, archive=archive, follow=follow)
    return 0


def _split(text: str) -> tuple[str, str]:
    """Container and path; no container for a path of the host, which may say so by / or ./ ."""
    name, colon, path = text.partition(":")
    if not colon or not name or "/" in name or name.startswith("."):
        return "", text
    if not path:
        raise InvalidRequest(f"{text[:80]!r} names no path in the container", hint=_USAGE)
    return name, path


@contextmanager
def _root(home: Home, container: Container) -> Iterator[int]:
    """A descriptor of the container's root; a stopped one's is mounted in a namespace of ours."""
    record = container.record
    if container.running and record is not None:
        descriptor = _running_root(container, record.pid)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    directory = os.getcwd()
    with rootfs.opened(belongings.root_of(home, container.defined())) as descriptor:
        os.chdir(directory)
        yield descriptor


def _running_root(container: Container, pid: int) -> int:
    """The stand-in has the container's root as its own."""
    try:
        return os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        name = container.name
        raise NotFound(f"container {name} has just ended", hint="try again") from error
