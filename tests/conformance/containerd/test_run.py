"""`ctr run` with this runtime and with runc's shim: the same status, the same output."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support import screen
from tests.support.containerd import IMAGE, RUNC, RUNTIME, Containerd

EVERYTHING: Final = """\
id; pwd; umask; env | sort; ulimit -n
grep -e Cap -e NoNewPrivs /proc/self/status; cat /proc/1/comm
touch /x 2>&1; cat /v/f; touch /v/x 2>&1
grep -c ' /dev/shm tmpfs' /proc/mounts
ls -l /dev | sed '/kcore/d; s/ *[A-Z][a-z][a-z] .* / /'
echo to-stderr >&2; exit 3
"""


@dataclass(frozen=True)
class Row:
    """A command that both runtimes answer alike; `word` is in what they say of an error."""

    name: str
    words: tuple[str, ...]
    flags: tuple[str, ...] = ()
    stdin: bytes | None = None
    word: str = ""


ROWS: Final = (
    Row("status", ("sh", "-c", "echo out; echo err >&2; exit 7")),
    Row("a signal", ("sh", "-c", "kill -9 $$")),
    Row("input", ("sh", "-c", "md5sum; exit 4"), stdin=b"x" * 300_000),
    Row("missing program", ("/no/such",), word="no such file or directory"),
    Row("missing name", ("no-such",), word="executable file not found in $PATH"),
    Row("not executable", ("/etc/passwd",), word="permission denied"),
    Row("directory missing", ("pwd",), ("--cwd", "/no/such")),
    Row("directory is a file", ("pwd",), ("--cwd", "/etc/passwd")),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row(containerd: Containerd, row: Row) -> None:
    theirs = containerd.run("row", *row.words, runtime=RUNC, flags=row.flags, stdin=row.stdin)
    ours = containerd.run("row", *row.words, flags=row.flags, stdin=row.stdin)
    assert (ours.code, ours.raw) == (theirs.code, theirs.raw), f"{ours.err}\nrunc: {theirs.err}"
    assert bool(ours.err) == bool(theirs.err), ours.err
    assert row.word in theirs.err
    assert row.word in ours.err


def test_everything_at_once(containerd: Containerd, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("hi\n")
    mount = f"type=bind,src={tmp_path},dst=/v,options=rbind:ro"
    flags = ("--env", "A=b c", "--env", "C=", "--cwd", "/tmp", "--read-only", "--mount", mount,
             "--cap-drop", "CAP_CHOWN", "--cap-add", "CAP_SYS_TIME")  # fmt: skip
    words = ("sh", "-c", EVERYTHING)
    theirs = containerd.run("all", *words, runtime=RUNC, flags=flags)
    ours = containerd.run("all", *words, flags=flags)
    assert ours.code == theirs.code == 3, ours.err
    assert ours.out.splitlines() == theirs.out.splitlines()
    assert ours.err == theirs.err


def test_the_kernel_is_the_guests(containerd: Containerd) -> None:
    assert containerd.run("kernel", "uname", "-r").out.strip() not in {"", os.uname().release}


def test_a_terminal(containerd: Containerd) -> None:
    codes: list[int] = []
    for runtime in (RUNC, RUNTIME):
        words = ("run", "--rm", "-t", "--runtime", runtime, IMAGE, "tty", "sh")
        with screen.shown(containerd.command(*words), dict(os.environ)) as terminal:
            terminal.expect(b"# ")
            terminal.type(b"stty size; tty; echo se''en\n")
            terminal.expect(b"33 101")
            terminal.expect(b"/dev/pts/0")
            terminal.expect(b"seen\r")
            terminal.resize(44, 155)
            terminal.type(b"sleep 1; stty size; echo en''d\n")
            terminal.expect(b"44 155")
            terminal.expect(b"end\r")
            terminal.type(b"exit 5\n")
            codes.append(terminal.wait())
    assert codes == [5, 5]


def test_a_root_file_system_of_ones_own(containerd: Containerd, tmp_path: Path) -> None:
    """No mounts come with it: `root.path` is what it is."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "bin/busybox").chmod(0o755)
    words = ("--rootfs", os.fspath(tmp_path), "own", "/bin/busybox", "echo", "own")
    assert containerd.ok("run", "--rm", "--runtime", RUNTIME, *words) == "own"


def test_settings_by_a_file(containerd: Containerd, tmp_path: Path) -> None:
    """`--runtime-config-path` names a file of settings, as /etc/enclos/config.toml is one."""
    script = ("sh", "-c", "grep -c 'seen=by-the-kernel' /proc/cmdline")
    path = tmp_path / "settings.toml"
    path.write_text('kernel_arguments = "seen=by-the-kernel"\ntemplate = false\n')
    flags = ("--runtime-config-path", os.fspath(path))
    assert containerd.run("settings", *script, flags=flags).out == "1\n"
    path.write_text("no_such_setting = 1\n")
    refused = containerd.run("settings", *script, flags=flags)
    assert refused.code == 1
    assert "no_such_setting" in refused.err


def test_the_hosts_network(containerd: Containerd) -> None:
    """`--net-host`: what listens on the host's loopback is there for the container."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        thread = threading.Thread(target=_greet, args=(server,))
        thread.start()
        answer = containerd.run("host", "nc", "127.0.0.1", port, flags=("--net-host",))
        thread.join()
    assert (answer.code, answer.out) == (0, "hello\n"), answer.err


def _greet(server: socket.socket) -> None:
    server.settimeout(60)
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"hello\n")
