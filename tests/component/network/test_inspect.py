"""The interfaces of a network namespace of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclos.network import inspect


@pytest.fixture
def namespace() -> Iterator[Path]:
    """A network namespace held by a sleeping process."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    path = Path(f"/proc/{holder.pid}/ns/net")
    while os.readlink(path) == os.readlink("/proc/self/ns/net"):
        os.sched_yield()
    yield path
    holder.kill()
    holder.wait()


def _ip(namespace: Path, *words: str) -> None:
    pid = namespace.parts[2]
    command = ["nsenter", "--target", pid, "--net", "ip", "link", *words]
    subprocess.run(command, check=True, timeout=60)


def test_what_is_up_counts(namespace: Path) -> None:
    own = os.readlink("/proc/thread-self/ns/net")
    assert inspect.interfaces(namespace) == ()
    _ip(namespace, "add", "one", "type", "veth", "peer", "name", "two")
    _ip(namespace, "set", "lo", "up")
    assert inspect.interfaces(namespace) == ()
    _ip(namespace, "set", "one", "up")
    assert inspect.interfaces(namespace) == ("one",)
    assert os.readlink("/proc/thread-self/ns/net") == own


def test_what_is_no_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", Path("/proc/self/ns/ipc")):
        with pytest.raises(OSError, match="Invalid argument"):
            inspect.interfaces(path)
    with pytest.raises(FileNotFoundError):
        inspect.interfaces(tmp_path / "missing")
