"""The jail, from inside: what a program in it sees, may do, and how it ends.

The program is the host's static busybox, alone in a root of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from enclos.errors import MachineFailed
from enclos.linux import jail, pid
from enclos.linux.jail import Jail

BUSYBOX = "/bin/busybox"


@pytest.fixture
def cell(tmp_path: Path) -> Jail:
    """A root with busybox in it."""
    source = shutil.which("busybox")
    if source is None:
        pytest.skip("busybox is missing: apt-get install busybox-static")
    root = tmp_path / "root"
    for name in ("bin", "proc", "dev", "share"):
        (root / name).mkdir(parents=True)
    shutil.copy(source, root / "bin/busybox")
    root.chmod(0o755)
    return Jail(os.fspath(root), uid=64055, gid=64055)


def output_of(cell: Jail, script: str) -> str:
    """What a shell in the jail says to `script`."""
    reader, writer = os.pipe()
    spawned = jail.spawn(cell, [BUSYBOX, "sh", "-c", script], keep=[], output=writer)
    os.close(writer)
    jail.confirm(spawned)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(spawned.pid, 0)
    return said


def test_it_sees_its_root_and_nothing_of_the_host(cell: Jail) -> None:
    assert output_of(cell, "busybox ls /").split() == ["bin", "dev", "proc", "share"]


def test_it_is_init_of_its_own_pid_namespace(cell: Jail) -> None:
    assert output_of(cell, "echo $$; busybox ls /proc | busybox grep -c '^[0-9]'").split() == [
        "1",
        "3",
    ]


def test_it_has_no_rights(cell: Jail) -> None:
    said = output_of(cell, "busybox grep -E '^(Uid|Cap(Prm|Eff|Bnd)|NoNewPrivs)' /proc/self/status")
    lines = dict(line.split(":", 1) for line in said.splitlines())
    assert lines["Uid"].split() == ["64055"] * 4
    assert {int(lines[f"Cap{name}"], 16) for name in ("Prm", "Eff", "Bnd")} == {0}
    assert lines["NoNewPrivs"].strip() == "1"


def test_as_root_it_has_exactly_the_rights_it_is_given(cell: Jail) -> None:
    rights = frozenset({"CAP_CHOWN", "CAP_SETUID"})
    prisoner = Jail(cell.root, uid=0, gid=0, capabilities=rights)
    said = output_of(prisoner, "busybox grep -E '^Cap(Eff|Bnd)' /proc/self/status")
    assert {int(line.split()[1], 16) for line in said.splitlines()} == {1 << 0 | 1 << 7}


def test_anybody_else_keeps_what_it_is_given(cell: Jail) -> None:
    rights = frozenset({"CAP_NET_BIND_SERVICE"})
    prisoner = Jail(cell.root, uid=64055, gid=64055, capabilities=rights)
    said = output_of(prisoner, "busybox grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status")
    assert {int(line.split()[1], 16) for line in said.splitlines()} == {1 << 10}


def test_it_cannot_write_its_root(cell: Jail) -> None:
    prisoner = Jail(cell.root, uid=0, gid=0, capabilities=frozenset({"CAP_DAC_OVERRIDE"}))
    assert "Read-only file system" in output_of(prisoner, "busybox touch /new 2>&1")


def test_it_has_no_network(cell: Jail) -> None:
    assert output_of(cell, "busybox ls /sys 2>&1; busybox cat /proc/net/dev").count(":") <= 3


def test_later_mounts_below_a_bind_arrive_and_the_bind_itself_is_read_only(
    cell: Jail, tmp_path: Path
) -> None:
    from tests.support.children import inside

    def check() -> None:
        from enclos.linux import libc, mount

        share = tmp_path / "host"
        share.mkdir()
        mount.tmpfs(share)
        (share / "sub").mkdir()
        mount.make_shared(share)
        prisoner = Jail(
            cell.root, uid=0, gid=0,
            capabilities=frozenset({"CAP_DAC_OVERRIDE"}), binds=((os.fspath(share), "/share"),),
        )  # fmt: skip
        reader, writer = os.pipe()
        script = (
            "busybox touch /share/x 2>&1; until busybox test -e /share/sub/late; do :; done;"
            "busybox touch /share/sub/mine && echo ok"
        )
        spawned = jail.spawn(prisoner, [BUSYBOX, "sh", "-c", script], keep=[], output=writer)
        os.close(writer)
        jail.confirm(spawned)
        libc.mount("late", os.fspath(share / "sub"), "tmpfs", 0, "")
        (share / "sub/late").touch()
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        os.waitpid(spawned.pid, 0)
        assert "Read-only" in said
        assert said.endswith("ok\n")

    inside(check)


def test_it_dies_with_its_parent(cell: Jail) -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        spawned = jail.spawn(cell, [BUSYBOX, "sleep", "1000"], keep=[], output=2)
        jail.confirm(spawned)
        os.write(writer, b"%d\n" % spawned.pid)
        signal.pause()
    os.close(writer)
    with os.fdopen(reader) as pipe:
        prisoner = pid.ref(int(pipe.readline()))
    assert prisoner.alive()
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    deadline = time.monotonic() + 10
    while prisoner.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not prisoner.alive()


def test_a_missing_program_is_reported(cell: Jail) -> None:
    spawned = jail.spawn(cell, ["/bin/missing"], keep=[], output=2)
    with pytest.raises(MachineFailed, match=r"cannot start /bin/missing: exec: .*No such file"):
        jail.confirm(spawned)
    os.waitpid(spawned.pid, 0)


def test_a_missing_root_is_reported(tmp_path: Path) -> None:
    spawned = jail.spawn(Jail(os.fspath(tmp_path / "no"), uid=0, gid=0), ["/x"], keep=[], output=2)
    with pytest.raises(MachineFailed, match="file system"):
        jail.confirm(spawned)
    os.waitpid(spawned.pid, 0)


def test_children_forked_afterwards_are_in_our_pid_namespace(cell: Jail) -> None:
    output_of(cell, ":")
    child = os.fork()
    if child == 0:
        os._exit(0 if os.getpid() > 1 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_is_not_our_child_is_never_killed(cell: Jail) -> None:
    """Not a process that was collected before, whose number may be somebody else's by now."""
    spawned = jail.spawn(cell, [BUSYBOX, "sleep", "1000"], keep=[], output=2)
    jail.confirm(spawned)
    jail.reap(spawned.pid)
    jail.reap(spawned.pid)
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(writer, b"%d" % grandchild)
        signal.pause()
    stranger = pid.ref(int(os.read(reader, 20)))
    jail.reap(stranger.pid)
    assert stranger.alive()
    os.kill(stranger.pid, signal.SIGKILL)
    jail.reap(middle)
