"""Overlay mounts of many layers, with any path and however long the list is.

Tried in turn, the newest first: layers as open directories (Linux 6.13), one layer at a time
(`lowerdir+`, 6.8), one string of short /proc/self/fd paths for mount(2), which holds about 230
layers in its 4095 bytes and needs no escaping of `:` and `,`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from enclos.linux import libc, mountapi

_REFUSED: Final = {errno.EINVAL, errno.ENOSYS, errno.EBADF, errno.EOPNOTSUPP}
_DATA_LIMIT: Final = 4095


def overlay(
    target: Path,
    *,
    lowerdirs: Sequence[Path],
    upper: Path | None = None,
    work: Path | None = None,
    options: Sequence[str] = (),
    name: str = "enclos",
) -> None:
    """Mount the layers `lowerdirs` (topmost first) on `target`, writable through `upper`.

    `work` is an empty directory on the file system of `upper`; without both the mount is
    read-only and needs two layers. `options` are overlayfs' own (`index=off`, `volatile`).
    Raises `OSError` with the kernel's reason.
    """
    with _opened([*lowerdirs, *(path for path in (upper, work) if path)]) as descriptors:
        lower = descriptors[: len(lowerdirs)]
        rest = descriptors[len(lowerdirs) :]
        pair: dict[str, int] = dict(zip(("upperdir", "workdir"), rest, strict=False))
        for attempt in (_by_descriptors, _by_layers):
            try:
                mount = attempt(lower, pair, options=options, name=name)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
            else:
                _attach(mount, target)
                return
        _by_string(target, lower, pair, options=options, name=name)


def _attach(mount: int, target: Path) -> None:
    try:
        mountapi.move_mount(mount, os.fspath(target))
    finally:
        os.close(mount)


@contextmanager
def _opened(paths: Sequence[Path]) -> Iterator[list[int]]:
    with ExitStack() as stack:
        descriptors: list[int] = []
        for path in paths:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            descriptors.append(os.open(path, flags))
            stack.callback(os.close, descriptors[-1])
        yield descriptors


def _by_descriptors(
    lower: Sequence[int], pair: dict[str, int], *, options: Sequence[str], name: str
) -> int:
    with _context(options, name) as context:
        for descriptor in lower:
            mountapi.set_descriptor(context, "lowerdir+", descriptor)
        for key, descriptor in pair.items():
            mountapi.set_descriptor(context, key, descriptor)
        mountapi.create(context)
        return mountapi.fsmount(context)


def _by_layers(
    lower: Sequence[int], pair: dict[str, int], *, options: Sequence[str], name: str
) -> int:
    with _context(options, name) as context:
        for descriptor in lower:
            mountapi.set_string(context, "lowerdir+", _short(descriptor))
        for key, descriptor in pair.items():
            mountapi.set_string(context, key, _short(descriptor))
        mountapi.create(context)
        return mountapi.fsmount(context)


@contextmanager
def _context(options: Sequence[str], name: str) -> Iterator[int]:
    context = mountapi.fsopen("overlay")
    try:
        mountapi.set_string(context, "source", name)
        for option in options:
            key, separator, value = option.partition("=")
            if separator:
                mountapi.set_string(context, key, value)
            else:
                mountapi.set_flag(context, key)
        yield context
    finally:
        os.close(context)


def _by_string(
    target: Path,
    lower: Sequence[int],
    pair: dict[str, int],
    *,
    options: Sequence[str],
    name: str,
) -> None:
    words = [*options, "lowerdir=" + ":".join(_short(descriptor) for descriptor in lower)]
    words += [f"{key}={_short(descriptor)}" for key, descriptor in pair.items()]
    data = ",".join(words)
    if len(data) > _DATA_LIMIT:
        message = f"overlay: {len(lower)} layers do not fit into the options of mount(2)"
        raise OSError(errno.E2BIG, message, os.fspath(target))
    libc.mount(name, os.fspath(target), "overlay", 0, data)


def _short(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
