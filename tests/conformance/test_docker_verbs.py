"""docker's verbs on one running container of ours, and beside it one of runc's."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support import waiting
from tests.support.dockerd import IMAGE, Docker
from tests.support.screen import look_round, use_shell

PROGRAM: Final = """\
trap 'echo hup' HUP; trap 'exit 9' TERM
echo out; echo err >&2; echo kept >/etc/kept; mkdir /sub; echo deep >/sub/deep
while :; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def both(docker: Docker) -> Iterator[dict[str, str]]:
    """The same container twice, by runtime."""
    made = {
        runtime: docker.ok(
            "run", "-d", "--network", "none", "--runtime", runtime, "--memory", "64m",
            "-v", "/vol", "--tmpfs", "/t", "-e", "A=b", IMAGE, "sh", "-c", PROGRAM,
        )
        for runtime in ("enclos", "runc")
    }  # fmt: skip
    waiting.until(lambda: all("err" in docker(*("logs", name)).err for name in made.values()))
    yield made
    docker.ok("rm", "-f", "-v", *made.values())


@pytest.fixture(scope="module")
def ours(both: dict[str, str]) -> str:
    return both["enclos"]


def alike(docker: Docker, both: dict[str, str], *words: str, stdin: bytes | None = None) -> str:
    """What both answer to the same words, CONTAINER being their id."""
    answers = {
        runtime: docker(*(name if word == "CONTAINER" else word for word in words), stdin=stdin)
        for runtime, name in both.items()
    }
    ours, theirs = answers["enclos"], answers["runc"]
    assert (ours.code, ours.out) == (theirs.code, theirs.out), f"{ours.err}\nrunc: {theirs.err}"
    return ours.out


def test_logs(docker: Docker, both: dict[str, str]) -> None:
    assert alike(docker, both, "logs", "CONTAINER") == "out\n"
    assert docker("logs", both["enclos"]).err == "err\n"


def test_exec(docker: Docker, both: dict[str, str]) -> None:
    alike(docker, both, "exec", "CONTAINER", "sh", "-c", "echo $A; pwd; id; kill -15 $$")
    flags = ("-u", "user", "-w", "/sub", "-e", "X=y")
    alike(docker, both, "exec", *flags, "CONTAINER", "sh", "-c", "echo $X; pwd; id; exit 5")


@pytest.mark.parametrize("program", ["no-such", "/etc", "/etc/passwd"])
def test_exec_of_what_does_not_run(docker: Docker, both: dict[str, str], program: str) -> None:
    """Debian 12's docker says 126 in all three cases."""
    ours, theirs = (docker("exec", name, program) for name in both.values())
    assert ours.code == theirs.code == 126
    words = theirs.out.rpartition("exec: ")[2].removesuffix(": unknown\r\n")
    newer_runcs = "is a directory: unknown: "
    assert words.replace(newer_runcs, "").strip() in ours.out


def test_exec_with_input(docker: Docker, both: dict[str, str]) -> None:
    data = os.urandom(1 << 20)
    alike(
        docker, both, "exec", "-i", "CONTAINER", "sh", "-c", "md5sum; wc -c </dev/null", stdin=data
    )


def test_a_detached_exec(docker: Docker, ours: str) -> None:
    docker.ok("exec", "-d", ours, "sh", "-c", "sleep 0.5; echo done >/t/done")
    waiting.until(lambda: docker("exec", ours, "cat", "/t/done").out == "done\n")


def test_a_terminal_of_an_exec(docker: Docker, ours: str) -> None:
    with docker.on_a_screen("exec", "-it", ours, "sh") as screen:
        look_round(screen)


def test_a_terminal_of_a_container(docker: Docker) -> None:
    words = ("run", "--rm", "-it", "--network", "none", "--runtime", "enclos", IMAGE, "sh")
    with docker.on_a_screen(*words) as screen:
        use_shell(screen)


def test_files_go_in_and_out(docker: Docker, ours: str, tmp_path: Path) -> None:
    docker.ok("cp", f"{ours}:/etc/kept", str(tmp_path / "kept"))
    assert (tmp_path / "kept").read_text() == "kept\n"
    (tmp_path / "tree/in").mkdir(parents=True)
    (tmp_path / "tree/in/file").write_text("from outside")
    docker.ok("cp", str(tmp_path / "tree"), f"{ours}:/sub")
    assert docker.ok("exec", ours, "cat", "/sub/tree/in/file") == "from outside"
    docker.ok("cp", str(tmp_path / "kept"), f"{ours}:/vol/kept")
    assert docker.ok("exec", ours, "cat", "/vol/kept") == "kept"
    archive = docker("cp", f"{ours}:/sub/deep", "-")
    with tarfile.open(fileobj=io.BytesIO(archive.raw)) as found:
        assert found.getnames() == ["deep"]


def test_a_link_does_not_lead_to_the_hosts_files(docker: Docker, ours: str, tmp_path: Path) -> None:
    """`cp` follows the container's links inside the container's root."""
    secret = tmp_path / "secret"
    secret.write_text("the host's")
    docker.ok("exec", ours, "sh", "-c", f"ln -s / /up; ln -s {secret} /link")
    for path in (f"/up{secret}", "/link"):
        assert docker("cp", "-L", f"{ours}:{path}", str(tmp_path / "got")).code == 1
    docker("cp", str(secret), f"{ours}:/up/planted")
    assert docker.ok("exec", ours, "cat", "/planted") == "the host's"
    assert not Path("/planted").exists()


def test_top_shows_who_stands_for_the_container(docker: Docker, ours: str) -> None:
    pid = docker.inspect(ours, "{{.State.Pid}}")
    lines = docker.ok("top", ours).splitlines()
    assert lines[0].split()[:3] == ["UID", "PID", "PPID"]
    assert [line.split()[1] for line in lines[1:]] == [pid]
    assert docker.ok("top", ours, "-o", "pid,comm").splitlines()[1].split() == [pid, "sh"]
    assert Path(f"/proc/{pid}/root/etc/kept").read_text() == "kept\n"


def test_stats(docker: Docker, ours: str) -> None:
    found = json.loads(docker.ok("stats", "--no-stream", "--format", "{{json .}}", ours))
    assert found["ID"] == ours[:12]
    assert found["PIDs"].isdecimal()


def test_pause(docker: Docker, ours: str) -> None:
    docker.ok("pause", ours)
    assert docker.inspect(ours, "{{.State.Status}}") == "paused"
    refused = docker("exec", ours, "true")
    assert refused.code == 1
    assert "is paused" in refused.err
    docker.ok("unpause", ours)
    assert docker.ok("exec", ours, "echo", "on") == "on"


def test_changes(docker: Docker, both: dict[str, str]) -> None:
    found = {
        runtime: {
            line
            for line in docker.ok("diff", name).splitlines()
            if "kept" in line or "deep" in line
        }
        for runtime, name in both.items()
    }
    assert found["enclos"] == found["runc"] == {"A /etc/kept", "A /sub/deep"}


def test_commit_and_export(docker: Docker, ours: str) -> None:
    image = docker.ok("commit", "--change", 'CMD ["cat", "/etc/kept"]', ours)
    assert docker.inspect(ours, "{{.State.Status}}") == "running"
    assert docker.run(image).out == "kept\n"
    docker.ok("rmi", image)
    with tarfile.open(fileobj=io.BytesIO(docker("export", ours).raw)) as archive:
        member = archive.extractfile("sub/deep")
        assert member is not None
        assert member.read() == b"deep\n"


def test_a_signal_reaches_the_program(docker: Docker, ours: str) -> None:
    docker.ok("kill", "-s", "HUP", ours)
    waiting.until(lambda: "hup" in docker("logs", ours).out)
    os.kill(int(docker.inspect(ours, "{{.State.Pid}}")), 1)
    waiting.until(lambda: docker("logs", ours).out.count("hup") == 2)


def test_rename_and_wait_and_restart(docker: Docker, both: dict[str, str], ours: str) -> None:
    docker.ok("rename", ours, "renamed")
    docker.ok("restart", "renamed")
    assert docker.inspect(ours, "{{.State.Status}} {{.State.Running}}") == "running true"
    assert docker.ok("exec", "renamed", "cat", "/etc/kept", "/vol/kept") == "kept\nkept"
    docker.ok("stop", both["runc"], ours)
    assert alike(docker, both, "wait", "CONTAINER") == "9\n"
    assert alike(docker, both, "inspect", "-f", "{{.State.ExitCode}} {{.State.Pid}}", "CONTAINER")
    assert docker("exec", ours, "true").code == 1
    assert docker("kill", ours).code == 1
    docker.ok("start", ours)
    assert docker.ok("exec", ours, "cat", "/sub/deep") == "deep"
    docker.ok("kill", ours)
    assert docker.ok("wait", ours) == "137"
