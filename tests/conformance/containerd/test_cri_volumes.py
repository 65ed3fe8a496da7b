"""Volumes as the kubelet prepares them, in a pod of ours and in one of runc's: the same is seen.

What a virtual machine cannot have is in tests of its own, by the words it is refused with.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.support.containerd import wait_for
from tests.support.cri import Cri, Pod, api

SLEEP: Final = ("sleep", "10000")
EXITED: Final = 2
FROM_HOST: Final = 1
BOTH_WAYS: Final = 2
PYTHON: Final = tuple(
    api.Mount(container_path=path, host_path=host, readonly=True)
    for path, host in (("/usr", "/usr"), ("/lib", "/usr/lib"), ("/lib64", "/usr/lib64"))
)
SERVER: Final = """\
import socket, sys
import fcntl
lock = open(sys.argv[1] + ".lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("up", flush=True)
while True:
    with server.accept()[0] as caller:
        caller.sendall(b"to " + caller.recv(100))
"""
CLIENT: Final = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    client.sendall(b"you")
    print(client.recv(100).decode())
import fcntl
try:
    fcntl.lockf(open(sys.argv[1] + ".lock", "w"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("locked")
"""

Look = Callable[[Pod, Path], Any]


@pytest.fixture(scope="module")
def pods(cri: Cri) -> Iterator[tuple[Pod, Pod]]:
    """One of ours and one of runc's."""
    with cri.pod() as ours, cri.pod(handler="runc") as theirs:
        yield ours, theirs


def both(pods: tuple[Pod, Pod], place: Path, look: Look) -> Any:
    """What `look` finds in both, each with a directory of its own on the host; it is the same."""
    found: list[Any] = []
    for name, pod in zip(("ours", "theirs"), pods, strict=True):
        (place / name).mkdir()
        found.append(look(pod, place / name))
    assert found[0] == found[1]
    return found[0]


def _mount(path: str, source: Path | str, **more: Any) -> Any:
    return api.Mount(container_path=path, host_path=os.fspath(source), **more)


@contextmanager
def mounted(*words: str) -> Iterator[None]:
    """A mount of the host for the time of the block; the last word is its place."""
    subprocess.run(["mount", *words], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", words[-1]], check=True, timeout=30)


def test_directories_and_files_of_the_host(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """hostPath Directory, DirectoryOrCreate, File, FileOrCreate: made by the kubelet before."""

    def look(pod: Pod, place: Path) -> Any:
        (place / "directory/deep").mkdir(parents=True)
        (place / "directory/file").write_text("of the host\n")
        (place / "made").mkdir(0o755)
        (place / "single").write_text("first\n")
        (place / "empty").touch(0o644)
        mounts = [
            _mount("/d", place / "directory"),
            _mount("/new/made", place / "made"),
            _mount("/etc/single", place / "single"),
            _mount("/etc/empty", place / "empty"),
        ]
        name = pod.run(*SLEEP, mounts=mounts)
        script = (
            "cat /d/file; ls /d; echo in >/new/made/f; cat /etc/single; echo more >>/etc/single; "
            "echo x >/etc/empty; stat -c %a /new/made /etc/empty; rm /etc/single 2>&1"
        )
        said = pod.exec(name, "sh", "-c", script)
        (place / "directory/later").write_text("")
        (place / "single").write_text("changed in place\n")
        seen = "until grep -q place /etc/single; do sleep 1; done; ls /d; cat /etc/single"
        after = pod.exec(name, "timeout", "60", "sh", "-c", seen)[1]  # a second later at most
        return said[:2], after, (place / "made/f").read_text(), (place / "empty").read_text()

    said, after, *_ = both(pods, tmp_path, look)
    assert said[1].startswith("of the host\ndeep\nfile\nfirst\n")
    assert after == "deep\nfile\nlater\nchanged in place\n"


def test_devices_of_the_host_by_path(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """hostPath CharDevice: those that every container may use work, others need a right."""

    def look(pod: Pod, place: Path) -> Any:
        subprocess.run(["mknod", place / "zero", "c", "1", "5"], check=True, timeout=30)
        mounts = [_mount("/dev/other", "/dev/null"), _mount("/dev/nought", place / "zero")]
        mounts.append(_mount("/dev/fuse", "/dev/fuse"))
        name = pod.run(*SLEEP, mounts=mounts)
        script = "echo x >/dev/other; head -c 3 /dev/nought | wc -c; test -c /dev/fuse; echo $?"
        denied = pod.exec(name, "sh", "-c", ": </dev/fuse")
        return pod.exec(name, "sh", "-c", script), "Operation not permitted" in denied[2]

    assert both(pods, tmp_path, look) == ((0, "3\n0\n", ""), True)


def test_nested_binds(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """subPath and subPathExpr: the kubelet binds directory and file, which are mounted below
    one another."""

    def look(pod: Pod, place: Path) -> Any:
        for name in ("volume/a/b", "subpaths/0", "other"):
            (place / name).mkdir(parents=True)
        (place / "volume/a/file").write_text("f\n")
        (place / "subpaths/1").touch()
        (place / "other/in").mkdir()
        with (
            mounted("--bind", f"{place}/volume/a", f"{place}/subpaths/0"),
            mounted("--bind", f"{place}/volume/a/file", f"{place}/subpaths/1"),
        ):
            mounts = [
                _mount("/data", place / "subpaths/0"),
                _mount("/data/b", place / "other"),
                _mount("/data/b/in/file", place / "subpaths/1", readonly=True),
            ]
            name = pod.run(*SLEEP, mounts=mounts)
            script = (
                "cd /data; find . | sort; cat file b/in/file; echo w >b/w; touch b/in/file 2>&1"
            )
            said = pod.exec(name, "sh", "-c", script)
            pod.cri("StopContainer", container_id=name, timeout=0)
            pod.cri("RemoveContainer", container_id=name)
        return said, sorted(os.listdir(place / "other")), os.listdir(place / "volume/a/b")

    (code, out, _), other, _ = both(pods, tmp_path, look)
    assert code == 1
    assert out.startswith(".\n./b\n./b/in\n./b/in/file\n./file\nf\nf\n")
    assert "Read-only file system" in out
    assert other == ["in", "w"]


def test_memory_that_is_a_volume(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """emptyDir of medium Memory with a size limit: the kubelet's tmpfs, full at its limit."""

    def look(pod: Pod, place: Path) -> Any:
        (place / "memory").mkdir()
        with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", f"{place}/memory"):
            one, two = (
                pod.run(*SLEEP, mounts=[_mount("/cache", place / "memory")]) for _ in range(2)
            )
            full = pod.exec(one, "dd", "if=/dev/zero", "of=/cache/f", "bs=64k", "count=32")
            size = pod.exec(two, "stat", "-c", "%s", "/cache/f")[1]
            free = pod.exec(two, "sh", "-c", "df -k /cache | tail -n 1 | awk '{print $2, $4}'")[1]
            on_host = (place / "memory/f").stat().st_size
            for name in (one, two):
                pod.cri("StopContainer", container_id=name, timeout=0)
                pod.cri("RemoveContainer", container_id=name)
        return full[0], "No space left on device" in full[2], size, free, on_host

    assert both(pods, tmp_path, look) == (1, True, f"{1 << 20}\n", "1024 0\n", 1 << 20)


def _is_up(pod: Pod, name: str) -> bool:
    return pod.log(name) == ["up"]


@pytest.mark.parametrize("kind", ["memory", pytest.param("disk", marks=pytest.mark.nightly)])
def test_a_socket_between_containers(pods: tuple[Pod, Pod], tmp_path: Path, kind: str) -> None:
    """A unix socket and a lock in an emptyDir, on disk and in memory: one container has them,
    another finds them, also where it may only read."""

    def look(pod: Pod, place: Path) -> Any:
        (place / kind).mkdir()
        with ExitStack() as stack:
            if kind == "memory":
                stack.enter_context(mounted("-t", "tmpfs", "tmpfs", f"{place}/{kind}"))
            mounts = [*PYTHON, _mount("/run/sockets", place / kind)]
            python = ("/usr/bin/python3", "-I", "-c")
            server = pod.run(*python, SERVER, "/run/sockets/s", mounts=mounts)
            client = pod.run(*SLEEP, mounts=mounts)
            reader = [*PYTHON, _mount("/run/sockets", place / kind, readonly=True)]
            third = pod.run(*SLEEP, mounts=reader)
            wait_for(partial(_is_up, pod, server), pod.cri.daemon.log)
            said = pod.exec(client, *python, CLIENT, "/run/sockets/s")
            there = (place / kind / "s").is_socket()
            words = CLIENT.partition("import fcntl")[0]
            read = pod.exec(third, *python, words, "/run/sockets/s")
            for name in (server, client, third):
                pod.cri("StopContainer", container_id=name, timeout=0)
                pod.cri("RemoveContainer", container_id=name)
        return said, there, read

    assert both(pods, tmp_path, look) == ((0, "to you\nlocked\n", ""), True, (0, "to you\n", ""))


def test_the_termination_log(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """A file of the kubelet's below /dev, which it reads when the container has ended."""

    def look(pod: Pod, place: Path) -> Any:
        (place / "log").touch(0o666)
        script = "echo why >/dev/termination-log; exit 5"
        name = pod.run("sh", "-c", script, mounts=[_mount("/dev/termination-log", place / "log")])
        wait_for(lambda: pod.status(name).state == EXITED, pod.cri.daemon.log)
        return pod.status(name).exit_code, (place / "log").read_text()

    assert both(pods, tmp_path, look) == (5, "why\n")


def test_a_seccomp_profile_of_the_host(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    def look(pod: Pod, place: Path) -> Any:
        profile = place / "profile.json"
        profile.write_text(
            '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], '
            '"syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", '
            '"errnoRet": 122}]}'
        )
        security = api.LinuxContainerSecurityContext(
            seccomp=api.SecurityProfile(profile_type=2, localhost_ref=os.fspath(profile))
        )
        name = pod.run(*SLEEP, security=security)
        plain = pod.run(*SLEEP)
        missing = api.SecurityProfile(profile_type=2, localhost_ref=f"{place}/none")
        with pytest.raises(grpc.RpcError) as failed:
            pod.run(*SLEEP, security=api.LinuxContainerSecurityContext(seccomp=missing))
        return (
            pod.exec(name, "mkdir", "/d"),
            pod.exec(plain, "mkdir", "/d"),
            "none" in failed.value.details(),
        )

    denied, allowed, named = both(pods, tmp_path, look)
    assert (denied[0], allowed[0], named) == (1, 0, True)
    assert "quota" in denied[2].lower(), "EDQUOT is 122"


def test_read_only_covers_what_is_mounted_below(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """Which with runc takes Kubernetes' recursiveReadOnly; here the plain one does it, too."""
    ours, theirs = pods
    written: list[int] = []
    for name, pod in (("ours", ours), ("theirs", theirs)):
        (tmp_path / name / "below").mkdir(parents=True)
        with mounted("-t", "tmpfs", "tmpfs", f"{tmp_path}/{name}/below"):
            box = pod.run(*SLEEP, mounts=[_mount("/v", tmp_path / name, readonly=True)])
            assert pod.exec(box, "touch", "/v/x")[0] == 1
            written.append(pod.exec(box, "touch", "/v/below/x")[0])
            pod.cri("StopContainer", container_id=box, timeout=0)
            pod.cri("RemoveContainer", container_id=box)
    assert written == [1, 0]


def test_mounts_that_come_later(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """mountPropagation HostToContainer: what the host mounts below a volume is seen inside."""

    def look(pod: Pod, place: Path) -> Any:
        with ExitStack() as stack:
            stack.enter_context(mounted("-t", "tmpfs", "tmpfs", os.fspath(place)))
            subprocess.run(["mount", "--make-shared", place], check=True, timeout=30)
            (place / "later").mkdir()
            mounts = [
                _mount("/slave", place, propagation=FROM_HOST),
                _mount("/private", place),
            ]
            name = pod.run(*SLEEP, mounts=mounts)
            before = pod.exec(name, "ls", "/slave/later", "/private/later")[1]
            stack.enter_context(mounted("-t", "tmpfs", "tmpfs", f"{place}/later"))
            (place / "later/f").write_text("came\n")
            limit = time.monotonic() + 30
            while pod.exec(name, "cat", "/slave/later/f")[1] != "came\n":
                assert time.monotonic() < limit, "it does not come"
                time.sleep(0.2)
            seen = pod.exec(name, "ls", "/private/later")[1]
            pod.exec(name, "sh", "-c", "echo in >/slave/later/g")
            written = (place / "later/g").read_text()
            pod.cri("StopContainer", container_id=name, timeout=0)
            pod.cri("RemoveContainer", container_id=name)
        return before, seen, written

    assert both(pods, tmp_path, look)[1:] == ("", "in\n")


def test_a_socket_of_the_host(cri: Cri, pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    """hostPath Socket."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))
        server.listen()
        with pytest.raises(grpc.RpcError, match="is a socket of the host"):
            pods[0].run(*SLEEP, mounts=[_mount("/s", path)])
