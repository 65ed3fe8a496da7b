"""Copies between the host and a container's root file system, both ways: docker cp.

The container's side is always looked up inside its root, whatever links a guest puts there and
exchanges meanwhile; what is copied out stays below the destination that was named.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Final

from enclos.errors import InvalidRequest, NotFound
from enclos.linux.inroot import resolve_in_root
from enclos.storage import copyplan, nodes
from enclos.storage.blobs import open_stream, unpack_errors
from enclos.storage.copyplan import Operand
from enclos.storage.disk import disk_errors
from enclos.storage.extract import Parts, Rules, clean, extract
from enclos.storage.tarstream import TarReader
from enclos.storage.tarwrite import write_archive
from enclos.storage.walk import TreeWalker
from enclos.structs import dataclass

_LINKS: Final = 40
_STREAM: Final = "the archive"
_IN_STREAM: Final = Rules(overlay=False)
_DIRECTORY_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def copy_out(
    root_fd: int, path: str, destination: str, *, archive: bool = False, follow: bool = False
) -> None:
    """Copy `path` of the container to `destination` on the host.

    Files belong to the caller, without set-id bits, capabilities and device nodes, unless
    `archive`. `follow`: a link as the source stands for what it names. Raises `NotFound`,
    `InvalidRequest`, `HostUnfit`.
    """
    owner = None if archive else (os.geteuid(), os.getegid())
    rules = Rules(overlay=False, owner=owner, privileged=archive)
    with _host_root() as host_fd:
        source = _source(root_fd, path, follow=follow)
        target = _target(host_fd, os.path.join(os.getcwd(), destination))
        plan = copyplan.plan_copy(_operand(root_fd, source, path), target)
        with _opened(host_fd, plan.directory, target.text) as directory_fd:
            _copy(root_fd, source, plan.name, into_fd=directory_fd, base=(), rules=rules)


def copy_in(
    root_fd: int, source: str, path: str, *, archive: bool = False, follow: bool = False
) -> None:
    """Copy `source` on the host to `path` in the container.

    Files belong to root, unless `archive`; else as `copy_out`.
    """
    rules = Rules(overlay=False, owner=None if archive else (0, 0))
    with _host_root() as host_fd:
        full = os.path.join(os.getcwd(), source)
        found = _source(host_fd, full, follow=follow)
        target = _target(root_fd, path)
        plan = copyplan.plan_copy(_operand(host_fd, found, source), target)
        with _opened(root_fd, plan.directory, path):
            base = clean(plan.directory)
            _copy(host_fd, found, plan.name, into_fd=root_fd, base=base, rules=rules)


def stream_out(root_fd: int, path: str, *, output_fd: int, follow: bool = False) -> None:
    """Write `path` of the container as a tar archive to a descriptor."""
    source = _source(root_fd, path, follow=follow)
    operand = _operand(root_fd, source, path)
    if not operand.exists:
        raise NotFound(f"cannot copy {path!r}: no such file or directory")
    with _opened(root_fd, source.directory, path) as parent_fd:
        write_archive(TreeWalker(parent_fd, source.base, name=source.name), output_fd)


def stream_in(root_fd: int, path: str, *, input_fd: int) -> None:
    """Unpack a tar archive from a descriptor into the directory `path` of the container.

    Owners are the archive's. Raises `NotFound` if there is no such directory, `InvalidRequest`
    for a damaged archive.
    """
    target = copyplan.normal(path)
    with (
        _opened(root_fd, target, path),
        unpack_errors("cannot read the archive"),
        open_stream(input_fd) as source,
    ):
        reader = TarReader(source, name=_STREAM)
        extract(reader, root_fd, name=_STREAM, rules=_IN_STREAM, base=clean(target))
        reader.drain()


@dataclass(frozen=True, slots=True)
class _Found:
    """A source: `base` in `directory`, to be known as `name`."""

    directory: str
    base: str
    name: str


def _source(root_fd: int, text: str, *, follow: bool) -> _Found:
    """The directory and the name in it that a source means; a link only if it is to be followed."""
    name = copyplan.base_name(text)
    path = copyplan.normal(text)
    if copyplan.wants_directory(text) or follow:
        path = _followed(root_fd, path)
    if name == ".":
        return _Found(path, ".", name)
    directory, base = os.path.split(path)
    return _Found(directory, base or ".", name)


def _target(root_fd: int, text: str) -> Operand:
    """A destination with a link at its end followed, even one to nothing."""
    path = _followed(root_fd, copyplan.normal(text))
    status = _stat(root_fd, path, follow=True)
    slash = "/" if copyplan.wants_directory(text) and path != "/" else ""
    return Operand(path + slash, status is not None, _is_directory(status))


def _followed(root_fd: int, path: str) -> str:
    """The path with links at its end replaced by what they name."""
    for _ in range(_LINKS):
        link = _link_at(root_fd, path)
        if link is None:
            return path
        path = copyplan.normal(os.path.join(os.path.dirname(path), link))
    raise InvalidRequest(f"cannot copy {path!r}: too many symbolic links")


def _operand(root_fd: int, found: _Found, text: str) -> Operand:
    status = _stat(root_fd, f"{found.directory}/{found.base}", follow=False)
    return Operand(text, status is not None, _is_directory(status))


def _copy(
    from_fd: int, found: _Found, name: str, *, into_fd: int, base: Parts, rules: Rules
) -> None:
    with _opened(from_fd, found.directory, found.directory) as parent_fd:
        walker = TreeWalker(parent_fd, found.base, name=name)
        extract(walker, into_fd, name="copy", rules=rules, base=base)


def _link_at(root_fd: int, path: str) -> str | None:
    try:
        fd = resolve_in_root(root_fd, path, flags=os.O_PATH, follow=False)
    except OSError:
        return None
    try:
        is_link = stat.S_ISLNK(os.fstat(fd).st_mode)
        return os.readlink("", dir_fd=fd) if is_link else None
    finally:
        os.close(fd)


def _stat(root_fd: int, path: str, *, follow: bool) -> os.stat_result | None:
    try:
        fd = resolve_in_root(root_fd, path, flags=os.O_PATH, follow=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidRequest(f"cannot look at {path!r}: {os.strerror(error.errno or 0)}") from error
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _is_directory(status: os.stat_result | None) -> bool:
    return status is not None and stat.S_ISDIR(status.st_mode)


@contextlib.contextmanager
def _opened(root_fd: int, directory: str, said: str) -> Iterator[int]:
    """The directory inside the root; raises `NotFound` if there is none."""
    try:
        fd = resolve_in_root(root_fd, directory, flags=_DIRECTORY_FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(
            f"cannot copy to or from {said!r}: {directory!r} is no directory",
            hint="make the directory first",
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _host_root() -> Iterator[int]:
    with disk_errors("cannot open the host's root"):
        fd = os.open("/", nodes.DIRECTORY_FLAGS)
    try:
        yield fd
    finally:
        os.close(fd)
