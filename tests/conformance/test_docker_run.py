"""`docker run` with this runtime and with runc: the same status, the same output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pytest

from tests.support.commands import Answer
from tests.support.dockerd import IMAGE, SHIM, Docker

EVERYTHING: Final = """\
id; pwd; hostname; umask; env | sort; ulimit -n; ulimit -u
cat /proc/sys/net/ipv4/ip_forward; grep -e Cap -e NoNewPrivs /proc/self/status
touch /x 2>&1; touch /t/x && ls /t; grep -c ' /t tmpfs rw.*size=1024k' /proc/mounts
cat /etc/hosts | wc -l; df /dev/shm | tail -1
ls -l /dev | sed '/kcore/d; s/ *[A-Z][a-z][a-z] .* / /'
cat /proc/1/comm; cat /v/f; touch /v/x 2>&1; echo to-stderr >&2; exit 3
"""
FLAGS: Final = (
    "-u 1000:7 --group-add 9 -w /made --hostname host.name -e A=b --env C= --read-only "
    "--tmpfs /t:size=1m,mode=1777 --ulimit nofile=300:400 --ulimit nproc=77 "
    "--sysctl net.ipv4.ip_forward=1 --cap-drop all --security-opt no-new-privileges "
    "--shm-size 3m --init --add-host a:1.2.3.4 -v {volume}:/v:ro --label l=1"
).split()


@dataclass(frozen=True)
class Row:
    """A command line that both runtimes answer alike."""

    name: str
    words: tuple[str, ...]
    stdin: bytes | None = None


ROWS: Final = (
    Row("missing program", (IMAGE, "/no/such")),
    Row("missing name", (IMAGE, "no-such-program")),
    Row("directory", (IMAGE, "/etc")),
    Row("not executable", (IMAGE, "/etc/passwd")),
    Row("a signal", (IMAGE, "sh", "-c", "kill -9 $$")),
    Row("input", ("-i", IMAGE, "sh", "-c", "md5sum; exit 4"), b"x" * 300_000),
    Row("no such user", ("-u", "nobody-knows", IMAGE, "true")),
    Row("work directory is a file", ("-w", "/etc/passwd", IMAGE, "true")),
)


def normal(answer: Answer) -> tuple[int, str, str]:
    """Without what differs from one container to the next, and the engine's own frame."""
    err = re.sub(
        r"^/usr/bin/docker: Error response from daemon: .*: unable to start .*?: ", "", answer.err
    )
    return answer.code, answer.out, err


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row(docker: Docker, row: Row) -> None:
    theirs = docker.run(*row.words, runtime="runc", stdin=row.stdin)
    ours = docker.run(*row.words, stdin=row.stdin)
    assert (ours.code, ours.out) == (theirs.code, theirs.out), f"{ours.err}\nrunc: {theirs.err}"
    assert bool(ours.err) == bool(theirs.err), ours.err


def _lines(text: str) -> list[str]:
    """All, but by the shim not who owns /dev/null: without input crun gives it to the user."""
    return [line for line in text.splitlines() if not (SHIM and line.endswith(" null"))]


def test_everything_at_once(docker: Docker) -> None:
    volume = docker.ok("volume", "create")
    docker.ok(
        "run", "--rm", "--network", "none", "-v", f"{volume}:/v", IMAGE, "sh", "-c", "echo hi >/v/f"
    )
    words = [word.format(volume=volume) for word in FLAGS]
    theirs = docker.run(*words, IMAGE, "sh", "-c", EVERYTHING, runtime="runc")
    ours = docker.run(*words, IMAGE, "sh", "-c", EVERYTHING)
    docker.ok("volume", "rm", volume)
    assert ours.code == theirs.code == 3, ours.err
    assert _lines(ours.out) == _lines(theirs.out)
    assert ours.err == theirs.err
