"""Calls that containerd would not make, and command lines: our message, the right code, no harm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from enclos.shim.proto import task_pb2 as t
from enclos.shim.proto import types_pb2
from tests.support.containerd import TASK, Containerd
from tests.support.ttrpc import Client, Failed, header

INVALID, NOT_FOUND, EXISTS, STATE, NOT_IMPLEMENTED = 3, 5, 6, 9, 12


@dataclass(frozen=True)
class Row:
    """A call about the running task `box` that is answered with an error."""

    method: str
    message: Message
    code: int
    text: str


SPEC: Final = b'{"args":["true"],"cwd":"/","user":{"uid":0,"gid":0}}'
ROWS: Final = (
    Row("State", t.StateRequest(id="nobody"), NOT_FOUND, "container does not exist"),
    Row("State", t.StateRequest(id="box", exec_id="no"), NOT_FOUND, "no such process"),
    Row("Wait", t.WaitRequest(id="nobody"), NOT_FOUND, "container does not exist"),
    Row("Kill", t.KillRequest(id="nobody", signal=9), NOT_FOUND, "container does not exist"),
    Row("Kill", t.KillRequest(id="box", signal=900), INVALID, "signal"),
    Row("Start", t.StartRequest(id="box"), STATE, "cannot start an already running container"),
    Row("Delete", t.DeleteRequest(id="box"), STATE, "that is not stopped: running"),
    Row("Create", t.CreateTaskRequest(id="box"), EXISTS, "already exists"),
    Row("Create", t.CreateTaskRequest(id="../x"), INVALID, "../x"),
    Row("Create", t.CreateTaskRequest(id="x", bundle="/no/such"), INVALID, "config.json"),
    Row("Create", t.CreateTaskRequest(id="x", checkpoint="/c"), NOT_IMPLEMENTED, "checkpoints"),
    Row("Create", t.CreateTaskRequest(id="x", stdout="ftp://x"), NOT_IMPLEMENTED, "'ftp'"),
    Row("Create", t.CreateTaskRequest(id="x", stdout="/no/such"), INVALID, "standard streams"),
    Row("Checkpoint", t.CheckpointTaskRequest(id="box"), NOT_IMPLEMENTED, "checkpoints"),
    Row("Exec", t.ExecProcessRequest(id="box", exec_id="e"), INVALID, "process"),
    Row("Exec", t.ExecProcessRequest(id="box", exec_id="a/b"), INVALID, "a/b"),
    Row("Start", t.StartRequest(id="box", exec_id="no"), NOT_FOUND, "no such process"),
    Row("ResizePty", t.ResizePtyRequest(id="box", exec_id="no"), NOT_FOUND, "no such process"),
    Row("Update", t.UpdateTaskRequest(id="box"), INVALID, ""),
    Row("Stats", t.StatsRequest(id="nobody"), NOT_FOUND, "container does not exist"),
    Row("Pause", t.PauseRequest(id="nobody"), NOT_FOUND, "container does not exist"),
    Row("Resume", t.ResumeRequest(id="box"), STATE, "paused"),
    Row("Nothing", t.StateRequest(id="box"), NOT_IMPLEMENTED, "Nothing"),
)


@pytest.fixture
def client(containerd: Containerd, box: str) -> Iterator[Client]:
    """A connection to the shim of `box`."""
    with closing(Client.dial(containerd.socket(box))) as client:
        yield client


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method}-{row.text[:16]}")
@pytest.mark.parametrize("service", [TASK, "containerd.task.v3.Task"], ids=["v2", "v3"])
def test_an_impossible_call(client: Client, row: Row, service: str) -> None:
    with pytest.raises(Failed) as failed:
        client.call(service, row.method, row.message, Empty)
    assert failed.value.code == row.code, failed.value
    assert row.text in failed.value.text
    assert "\n" not in failed.value.text
    state = client.call(service, "State", t.StateRequest(id="box"), t.StateResponse)
    assert state.status == t.RUNNING


def test_the_same_exec_twice(client: Client) -> None:
    request = t.ExecProcessRequest(id="box", exec_id="twice")
    request.spec.value = SPEC
    client.call(TASK, "Exec", request, Empty)
    with pytest.raises(Failed, match=r"code 6: .*already exists"):
        client.call(TASK, "Exec", request, Empty)
    client.call(TASK, "Delete", t.DeleteRequest(id="box", exec_id="twice"), t.DeleteResponse)
    with pytest.raises(Failed, match="code 5"):
        client.call(TASK, "State", t.StateRequest(id="box", exec_id="twice"), t.StateResponse)


def test_a_crowd_of_clients_costs_nobody(containerd: Containerd, box: str) -> None:
    crowd = [Client.dial(containerd.socket(box)) for _ in range(200)]
    for one in crowd:
        one.socket.sendall(header(1000, 1) + b"half")
    assert containerd.exec(box, "echo", "served").out == "served\n"
    for one in crowd:
        one.close()


def _program(containerd: Containerd, *words: str, cwd: Path = Path("/")) -> tuple[int, bytes, str]:
    done = subprocess.run(
        [containerd.place / "bin/containerd-shim-enclos-v2", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=cwd,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "is started by containerd"),
        (("-no-such",), "flag provided but not defined: -no-such"),
        (("-id",), "flag needs an argument: -id"),
        (("-id", "x", "stop"), "unknown verb 'stop'"),
        (("-namespace", "a/b", "-id", "x", "start"), "a/b"),
        (("-namespace", "ns", "-id", "../x", "start"), "../x"),
    ],
)
def test_an_impossible_command_line(
    containerd: Containerd, words: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    code, out, err = _program(containerd, *words, cwd=tmp_path)
    assert (code, out) == (1, b"")
    assert err.startswith("enclos: ")
    assert text in err
    assert err.count("\n") == 1


def test_delete_of_what_never_was(containerd: Containerd, tmp_path: Path) -> None:
    words = ("-namespace", "ns", "-address", "/a", "-id", "x", "-bundle", os.fspath(tmp_path))
    code, out, err = _program(containerd, *words, "delete")
    assert (code, err) == (0, "")
    assert t.DeleteResponse.FromString(out).exit_status == 137


def test_what_it_is(containerd: Containerd) -> None:
    code, out, _ = _program(containerd, "-info")
    told = types_pb2.RuntimeInfo.FromString(out)
    assert (code, told.name) == (0, "io.containerd.enclos.v2")
    assert told.features.type_url.endswith("features/Features")
    code, out, _ = _program(containerd, "-v")
    assert (code, out.split()[:2]) == (0, [b"containerd-shim-enclos-v2:", b"Version:"])
