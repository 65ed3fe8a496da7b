"""Streams: every byte arrives, whoever reads them and however late."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from google.protobuf.empty_pb2 import Empty

from enclos.shim.proto import task_pb2 as t
from tests.support.containerd import IMAGE, RUNTIME, TASK, Containerd, wait_for
from tests.support.ttrpc import Client

COUNTED: Final = "seq 100000"
LINES: Final = b"".join(b"%d\n" % number for number in range(1, 100_001))
LOGGER: Final = """\
#!/usr/bin/python3
import os, pathlib, sys
here = pathlib.Path({place!r})
names = ("CONTAINER_ID", "CONTAINER_NAMESPACE")
(here / "told").write_text(" ".join([*sys.argv[1:], *(os.environ[name] for name in names)]))
os.close(5)
for number, name in ((3, "out"), (4, "err")):
    if os.fork() == 0:
        os.close(7 - number)
        with open(number, "rb") as source:
            (here / name).write_bytes(source.read())
        os._exit(0)
os.close(3), os.close(4)
os.wait(), os.wait()
(here / "done").touch()
"""


def test_both_streams_byte_for_byte(containerd: Containerd, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "data").write_bytes(data)
    flags = ("--mount", f"type=bind,src={tmp_path},dst=/v,options=rbind:ro")
    script = "cat /v/data & cat /v/data >&2; wait; exit 3"
    command = ("run", "--rm", "--runtime", RUNTIME, *flags, IMAGE, "bytes", "sh", "-c", script)
    done = subprocess.run(containerd.command(*command), capture_output=True, timeout=240)
    assert done.returncode == 3
    assert _digest(done.stdout) == _digest(done.stderr) == _digest(data)


def _digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def test_a_slow_reader_loses_nothing_and_holds_up_nobody(containerd: Containerd, box: str) -> None:
    words = containerd.command("tasks", "exec", "--exec-id", "slow", box, "sh", "-c", COUNTED)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = os.read(process.stdout.fileno(), 1000)
        time.sleep(2)
        assert containerd.exec(box, "echo", "meanwhile").out == "meanwhile\n"
        while piece := os.read(process.stdout.fileno(), 10_000):
            seen += piece
            time.sleep(0.01)
        assert process.wait(60) == 0
    assert _digest(seen) == _digest(LINES)


def test_input_ends_when_the_client_closes_it(containerd: Containerd, box: str) -> None:
    words = containerd.command("tasks", "exec", "--exec-id", "in", box, "sh", "-c", "wc -c; exit 2")
    data = b"y" * 1_000_000
    done = subprocess.run(words, input=data, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, b"1000000\n")


def test_output_waits_for_a_reader_that_comes_late(containerd: Containerd, tmp_path: Path) -> None:
    """What a process wrote before it ended is there until the task is deleted."""
    out = tmp_path / "out"
    os.mkfifo(out)
    exec_request = t.ExecProcessRequest(id="late", exec_id="e", stdout=os.fspath(out))
    exec_request.spec.value = (
        b'{"args":["sh","-c","echo early; exit 7"],"cwd":"/","env":["PATH=/bin"],'
        b'"user":{"uid":0,"gid":0}}'
    )
    with (
        containerd.detached("late", "exec sleep 10000"),
        closing(Client.dial(containerd.socket("late"))) as client,
    ):
        client.call(TASK, "Exec", exec_request, Empty)
        client.call(TASK, "Start", t.StartRequest(id="late", exec_id="e"), t.StartResponse)
        wait = t.WaitRequest(id="late", exec_id="e")
        assert client.call(TASK, "Wait", wait, t.WaitResponse).exit_status == 7
        reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
        assert os.read(reader, 100) == b"early\n"
        os.close(reader)
        delete = t.DeleteRequest(id="late", exec_id="e")
        assert client.call(TASK, "Delete", delete, t.DeleteResponse).exit_status == 7


def test_a_file_takes_both_streams(containerd: Containerd, tmp_path: Path) -> None:
    log = tmp_path / "made/log"
    script = "echo out; sleep 0.5; echo err >&2"
    with containerd.detached("filed", script, flags=("--log-uri", f"file://{log}")) as name:
        containerd.wait_task(name, "STOPPED")
        assert log.read_text() == "out\nerr\n"
        assert log.stat().st_mode & 0o777 == 0o644


def test_a_program_logs(containerd: Containerd, tmp_path: Path) -> None:
    logger = tmp_path / "logger"
    logger.write_text(LOGGER.format(place=os.fspath(tmp_path)))
    logger.chmod(0o755)
    uri = f"binary://{logger}?key=value&flag="
    script = f"{COUNTED}; echo err >&2"
    with containerd.detached("logged", script, flags=("--log-uri", uri)) as name:
        assert (tmp_path / "told").read_text() == f"key value flag logged {containerd.namespace}"
        containerd.wait_task(name, "STOPPED")
    wait_for((tmp_path / "done").exists, containerd.log)
    assert _digest((tmp_path / "out").read_bytes()) == _digest(LINES)
    assert (tmp_path / "err").read_text() == "err\n"


def test_a_logging_program_that_cannot_be_run(containerd: Containerd, tmp_path: Path) -> None:
    uri = f"binary://{tmp_path}/nothing"
    words = ("run", "-d", "--runtime", RUNTIME, "--log-uri", uri, IMAGE, "mute", "true")
    refused = containerd(*words)
    containerd("containers", "delete", "mute")
    assert refused.code == 1
    assert f"the logging program {tmp_path}/nothing cannot be run" in refused.err
    assert not containerd.bundle("mute").exists()
