"""Terminals by console socket: `process.terminal` and `consoleSize`, and exec with `--tty`."""

from __future__ import annotations

import array
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.answers import Answer
from tests.conformance.conftest import Side
from tests.conformance.rows import at, together

SCRIPT: Final = "test -t 0 && test -t 1 && test -t 2 && busybox stty size; tty; echo done"
PATIENCE_S: Final = 60


@contextmanager
def _console(path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        listener.bind(os.fspath(path))
        listener.listen(1)
        listener.settimeout(PATIENCE_S)
        yield listener


def _master(listener: socket.socket) -> int:
    """The one descriptor that comes with a name."""
    with closing(listener.accept()[0]) as connection:
        size = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
        name, control, _, _ = connection.recvmsg(4096, size)
        assert name, "receivers want a name"
        (descriptor,) = array.array("i", control[0][2][:4])
        return descriptor


def _read(master: int, until: bytes) -> str:
    """What a terminal shows up to a word."""
    shown, deadline = b"", time.monotonic() + PATIENCE_S
    while until not in shown:
        assert time.monotonic() < deadline, shown
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            shown += os.read(master, 4096)
        except OSError:
            break
    return shown.decode().replace("\r\n", "\n")


def _both(pod: Side, others: Mapping[str, Side]) -> tuple[Side, Side]:
    if "runc" not in others:
        pytest.skip("no runc on this host")
    return pod, others["runc"]


def _called(side: Side, name: str, *words: str, scratch: Path) -> Answer:
    answer = side.runtime.call(*words, name, scratch=scratch)
    assert answer.code == 0, answer
    return answer


def test_a_terminal_of_a_size(pod: Side, others: Mapping[str, Side], tmp_path: Path) -> None:
    shown: list[str] = []
    change = together(
        at("process.terminal", True), at("process.consoleSize", {"height": 40, "width": 123})
    )
    for side in _both(pod, others):
        name = side.name()
        bundle = side.bundle(name, SCRIPT, change)
        with _console(tmp_path / f"{name}.sock") as listener:
            words = ("create", "--bundle", str(bundle), "--console-socket",
                     str(tmp_path / f"{name}.sock"))  # fmt: skip
            _called(side, name, *words, scratch=bundle)
            master = _master(listener)
            _called(side, name, "start", scratch=bundle)
            shown.append(_read(master, b"done\r\n"))
            os.close(master)
        side.forget(name)
    assert shown[0] == shown[1]
    assert shown[0].startswith("40 123\n/dev/")


def test_exec_on_a_terminal(pod: Side, others: Mapping[str, Side], tmp_path: Path) -> None:
    shown: list[str] = []
    for side in _both(pod, others):
        name = side.name()
        bundle = side.bundle(name, "exec sleep 1000", together())
        _called(side, name, "create", "--bundle", str(bundle), scratch=bundle)
        _called(side, name, "start", scratch=bundle)
        with _console(tmp_path / f"{name}.sock") as listener:
            words = ("exec", "--detach", "--tty", "--pid-file", str(bundle / "exec.pid"),
                     "--console-socket", str(tmp_path / f"{name}.sock"), name,
                     "sh", "-c", f"sleep 1; {SCRIPT}")  # fmt: skip
            answer = side.runtime.call(*words, scratch=bundle)
            assert answer.code == 0, answer
            master = _master(listener)
            shown.append(_read(master, b"done\r\n"))
            os.close(master)
        with suppress(ChildProcessError):  # it is ours where the session adopts orphans, and as
            os.waitpid(int((bundle / "exec.pid").read_text()), 0)  # a zombie keeps runc's init
        side.forget(name)
    assert shown[0] == shown[1]
    assert "/dev/pts/" in shown[0]
