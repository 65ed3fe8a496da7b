"""Files of the host that are no files for another kernel are refused by their kind."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.oci.types import Mount
from enclos.sandbox import sourcekinds


def _bound(path: Path | str) -> tuple[Mount, ...]:
    return (Mount("/proc", "proc", "proc"), Mount("/x", "bind", os.fspath(path), ("bind",)))


def test_directories_files_and_what_is_not_there_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "fifo", ".", "none"):
        sourcekinds.check(_bound(tmp_path / name), tmp_path)
    sourcekinds.check(_bound("file"), tmp_path)


def test_a_socket_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "s"))
        for source in (tmp_path / "s", "s"):
            with pytest.raises(InvalidRequest, match=r"mounts\[1\].source: .*s is a socket"):
                sourcekinds.check(_bound(source), tmp_path)
        sourcekinds.check(_bound(tmp_path / "s"), tmp_path, served=f"{tmp_path}/s")


@pytest.mark.parametrize(
    ("kind", "number", "words"),
    [
        (stat.S_IFBLK, (8, 0), "is a disk of the host"),
        (stat.S_IFCHR, (1, 1000), None),
        (stat.S_IFCHR, (10, 229), None),
        (stat.S_IFCHR, (195, 0), r"\(195:0\) is a device of the host"),
    ],
)
def test_devices(tmp_path: Path, kind: int, number: tuple[int, int], words: str | None) -> None:
    os.mknod(tmp_path / "d", kind | 0o600, os.makedev(*number))
    if words is None:
        sourcekinds.check(_bound(tmp_path / "d"), tmp_path)
        return
    with pytest.raises(InvalidRequest, match=words):
        sourcekinds.check(_bound(tmp_path / "d"), tmp_path)
