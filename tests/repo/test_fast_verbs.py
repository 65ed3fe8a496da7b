"""Verbs that must answer at once import next to nothing (20 ms for the whole of `state`).

What a verb imports is what the interpreter says it imported, run as installed: isolated, without
site. A container is made up of files and, for `kill`, a socket that answers like a supervisor.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from enclos.state.fast import SEPARATOR, STATE_FILE, start_time
from enclos.wire import frames
from enclos.wire.control import SOCKET_NAME
from tests.repo import tree

PYTHON: Final = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
START: Final = "from enclos.ocicli.main import main; main()"
ALLOWED: Final = frozenset(
    "__future__ _collections_abc _socket _stat errno genericpath importlib os posixpath stat "
    "warnings".split()
)
"""Beside what an isolated interpreter has imported when it reads its first line. `importlib`
brings `warnings`, both together 0.5 ms; Python 3.13's `posixpath` the built-in `errno`."""
STATE_OURS: Final = frozenset(
    "enclos enclos.config enclos.config.load enclos.errors enclos.ocicli enclos.ocicli.grammar "
    "enclos.ocicli.main enclos.ocicli.parse enclos.ocicli.report enclos.ocicli.state "
    "enclos.ocicli.table enclos.ocicli.where enclos.state enclos.state.fast".split()
)
KILL_OURS: Final = (STATE_OURS - {"enclos.ocicli.state"}) | frozenset(
    "enclos.oci enclos.oci.signals enclos.ocicli.kill enclos.ocicli.quick enclos.wire "
    "enclos.wire.frames".split()
)
NAME: Final = "fast-verb"
STATE: Final = '{"ociVersion":"1.2.0","id":"fast-verb","status":"running"}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A state root with one container that this very process stands for."""
    directory = tmp_path / "containers" / NAME
    directory.mkdir(parents=True)
    me = f"{os.getpid()} {start_time(os.getpid())}"
    living = SEPARATOR.join((f"{me} {me} {NAME}", STATE, "dead"))
    (directory / STATE_FILE).write_text(living)
    return tmp_path


def test_state_imports_next_to_nothing(root: Path) -> None:
    done = _run("--root", str(root), "state", NAME)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == STATE
    assert not _too_much(done.stderr, STATE_OURS)


def test_kill_imports_next_to_nothing(root: Path) -> None:
    with _supervisor(root) as asked:
        done = _run("--root", str(root), "kill", NAME, "0")
    assert done.returncode == 0, done.stderr
    assert asked, "the supervisor was not asked"
    assert not _too_much(done.stderr, KILL_OURS)


def test_an_unknown_container_costs_no_more(root: Path) -> None:
    done = _run("--root", str(root), "state", "nobody")
    assert done.returncode == 1
    assert "container does not exist" in done.stderr
    assert not _too_much(done.stderr, STATE_OURS)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.append({str(tree.SOURCE)!r}); {START}"
    return subprocess.run(
        [PYTHON, "-ISXutf8", "-Ximporttime", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={},
    )


def _too_much(importtime: str, ours: frozenset[str]) -> list[str]:
    base = subprocess.run(
        [PYTHON, "-ISXutf8", "-Ximporttime", "-c", "import sys"],
        capture_output=True,
        text=True,
        timeout=30,
        env={},
    )
    return sorted(_imported(importtime) - _imported(base.stderr) - ALLOWED - ours)


def _imported(importtime: str) -> set[str]:
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


@contextmanager
def _supervisor(root: Path) -> Iterator[list[bytes]]:
    """Answers one request with an empty reply, as a supervisor would."""
    directory = root / "sandboxes" / NAME
    directory.mkdir(parents=True)
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        handle = os.open(directory, os.O_PATH)
        listener.bind(f"/proc/self/fd/{handle}/{SOCKET_NAME}")
        os.close(handle)
        listener.listen(1)
        listener.settimeout(20)
        thread = threading.Thread(target=_answer, args=(listener, asked))
        thread.start()
        try:
            yield asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=20)


def _answer(listener: socket.socket, asked: list[bytes]) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return  # nobody asked in time, or the test is over
    with connection:
        decoder = frames.Decoder()
        for frame in decoder.feed(connection.recv(65536)):
            asked.append(frame.payload)
            connection.sendall(frames.encode(frames.REPLY, frame.number, b"{}"))
