"""The helper that looks for leaks finds each kind of them, made for real."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from enclos.linux import fork, mount, namespaces, pidfd, process
from enclos.linux.cgroup import group, layout
from enclos.linux.cgroup.layout import Mode
from tests.support import leaks
from tests.support.children import inside
from tests.support.leaks import Scope

Leak = Callable[[Path, ExitStack], None]


def _child(_place: Path, stack: ExitStack) -> None:
    stack.enter_context(process.running(["sleep", "60"]))


def _orphan(_place: Path, stack: ExitStack) -> None:
    def body() -> int:
        time.sleep(60)
        return 0

    stack.callback(pidfd.kill_all, [fork.fork_detached(body)])


def _file(place: Path, stack: ExitStack) -> None:
    (place / "left").touch()
    stack.callback((place / "left").unlink)


def _socket(place: Path, stack: ExitStack) -> None:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(os.fspath(place / "s"))
    stack.callback((place / "s").unlink)


def _memory_file(_place: Path, stack: ExitStack) -> None:
    stack.callback(os.close, os.memfd_create("left"))


def _descriptor(_place: Path, stack: ExitStack) -> None:
    stack.callback(os.close, os.open("/etc/hostname", os.O_RDONLY))


def _control_group(place: Path, stack: ExitStack) -> None:
    host = layout.detect()
    if host.mode is Mode.NONE:
        pytest.skip("no control groups are mounted here")
    made = group.create(host, f"test-{place.name}")
    stack.callback(group.remove, made)


def _loop(place: Path, stack: ExitStack) -> None:
    image = place / "image"
    image.write_bytes(bytes(1 << 20))
    stack.callback(image.unlink)
    done = process.run(["losetup", "--find", "--show", os.fspath(image)], check=False)
    if done.status:
        pytest.skip(f"no loop device: {done.stderr.decode().strip()}")
    stack.callback(process.run, ["losetup", "--detach", done.stdout.decode().strip()])


@contextmanager
def _left_behind(leak: Leak, place: Path) -> Iterator[None]:
    with ExitStack() as stack:
        leak(place, stack)
        yield


@pytest.mark.parametrize(
    ("leak", "kind"),
    [
        (_child, "process"),
        (_orphan, "process"),
        (_file, "file"),
        (_socket, "socket"),
        (_memory_file, "memory file"),
        (_descriptor, "own descriptor"),
        (_control_group, "control group"),
        (_loop, "loop device"),
    ],
)
def test_a_leak_is_found_and_its_end_as_well(tmp_path: Path, leak: Leak, kind: str) -> None:
    scope = Scope(roots=(tmp_path,), words=(tmp_path.name,))
    before = leaks.snapshot(scope)
    with _left_behind(leak, tmp_path):
        assert kind in leaks.difference(before, leaks.snapshot(scope))
    assert leaks.wait_settled(before, scope) == {}


def test_mounts_and_links_are_found(tmp_path: Path) -> None:
    scope = Scope(roots=(tmp_path,))

    def body() -> None:
        before = leaks.snapshot(scope)
        mount.tmpfs(tmp_path)
        process.run(["ip", "link", "add", "left0", "type", "veth"], package="iproute2")
        found = leaks.difference(before, leaks.snapshot(scope))
        assert [line.split()[0] for line in found["mount"]] == [str(tmp_path)]
        assert "left0" in found["link"]

    inside(body, ("mount", "network"))


def test_what_belongs_to_others_is_not_found(tmp_path: Path) -> None:
    others = tmp_path / "others"
    ours = tmp_path / "ours"
    others.mkdir()
    ours.mkdir()
    scope = Scope(roots=(ours,), words=())
    before = leaks.snapshot(scope)
    with _left_behind(_file, others), _left_behind(_control_group, others):
        assert leaks.difference(before, leaks.snapshot(scope)) == {}


def test_network_namespaces_with_a_name_are_found(tmp_path: Path) -> None:
    def body() -> None:
        Path("/run/netns").mkdir(exist_ok=True)
        mount.tmpfs("/run/netns")
        before = leaks.snapshot()
        (Path("/run/netns") / "left").touch()
        mount.bind(namespaces.path_of("network"), "/run/netns/left")
        found = leaks.difference(before, leaks.snapshot())
        assert found["network namespace"] == ["/run/netns/left"]

    inside(body)
