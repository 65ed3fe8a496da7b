"""`podman run` with every flag that matters: the same answer as with runc."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.podman import IMAGE, Podman

CGROUP: Final = "/sys/fs/cgroup"


@dataclass(frozen=True, slots=True)
class Row:
    """Flags and a script; `words` must be in the output, or it must be what runc's is."""

    name: str
    flags: tuple[str, ...]
    script: str
    words: str = ""
    stdin: bytes | None = None


def either(modern: str, old: str) -> str:
    """A limit as its cgroup has it: the guest's is v2, runc's may be v1."""
    return f"cat {CGROUP}/{modern} 2>/dev/null || cat {CGROUP}/{old}"


ROWS: Final = (
    Row("status", (), "echo out; echo err >&2; exit 7", "out"),
    Row("stdin", ("-i",), "sha256sum", stdin=bytes(range(256)) * 4096),
    Row("init", ("--init",), "cat /proc/1/comm; (sleep 0.1 &)"),
    Row("read-only", ("--read-only",), "touch /x; touch /tmp/y /run/z && echo written", "written"),
    Row("read-only without tmpfs", ("--read-only", "--read-only-tmpfs=false"), "touch /tmp/y"),
    Row("tmpfs", ("--tmpfs=/t:size=64k,mode=700,noexec",), "df -k /t | awk 'NR==2{print $2}';"
        "stat -c %a /t; grep -c ' /t .*noexec' /proc/mounts", "64\n700"),
    Row("shm-size", ("--shm-size=8m",), "df -k /dev/shm | awk 'NR==2{print $2}'", "8192"),
    Row("user", ("--user=1234:4321", "--group-add=5"), "id; id -G; touch /tmp/x"),
    Row("user by name", ("--user=user",), "id; echo $HOME"),
    Row("cap-drop all", ("--cap-drop=all",), "grep Cap /proc/self/status"),
    Row("cap-add", ("--cap-drop=all", "--cap-add=net_admin"), "grep Cap /proc/self/status"),
    Row("no-new-privileges", ("--security-opt=no-new-privileges",), "grep NoNew /proc/self/status"),
    Row("seccomp unconfined", ("--security-opt=seccomp=unconfined",),
        "grep Seccomp: /proc/self/status", "Seccomp:\t0"),
    Row("ulimit", ("--ulimit=nofile=1000:2000", "--ulimit=nproc=999:999"),
        "ulimit -Sn; ulimit -Hn; ulimit -u", "1000\n2000\n999"),
    Row("sysctl", ("--sysctl=net.ipv4.ip_forward=1", "--sysctl=kernel.shmmni=1234"),
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni", "1\n1234"),
    Row("device", ("--device=/dev/fuse",),
        "stat -c '%F %t:%T %a' /dev/fuse; (: <>/dev/fuse) && echo opened", "opened"),
    Row("device renamed, read only", ("--device=/dev/zero:/dev/mine:r",),
        "head -c 3 /dev/mine | wc -c", "3"),
    Row("memory", ("--memory=64m", "--memory-swap=64m"),
        either("memory.max", "memory/memory.limit_in_bytes"), str(64 << 20)),
    Row("cpus", ("--cpus=0.5",), f"cut -d' ' -f1 {CGROUP}/cpu.max 2>/dev/null ||"
        f"cat {CGROUP}/cpu/cpu.cfs_quota_us", "50000"),
    Row("pids-limit", ("--pids-limit=77",), either("pids.max", "pids/pids.max"), "77"),
    Row("names", ("--hostname=a-name", "--env=WORD=a b", "--workdir=/var", "--add-host=x:1.2.3.4"),
        'hostname; echo "$WORD"; pwd; grep -c 1.2.3.4 /etc/hosts; cat /etc/hostname', "a-name"),
    Row("entrypoint", ("--entrypoint=/bin/echo",), "unused", "-c unused"),
    Row("env-file of the engine", ("--env=container=x",), "ls /run/.containerenv; echo $container"),
    Row("timezone", ("--tz=UTC",), "date +%Z", "UTC"),
    Row("loopback", (), "(echo hi | nc -l -p 7777 &); sleep 1; nc 127.0.0.1 7777 </dev/null", "hi"),
)  # fmt: skip


AS_ROOT: Final = frozenset(
    {"tmpfs", "shm-size", "cap-add", "seccomp unconfined", "ulimit", "sysctl", "device", "cpus",
     "device renamed, read only", "memory", "pids-limit", "names", "timezone",
     "env-file of the engine", "loopback"}
)  # fmt: skip
AS_A_USER: Final = frozenset({"user", "cap-drop all", "no-new-privileges", "read-only", "init"})


def _together(names: frozenset[str]) -> Row:
    """One row of many, whose flags do not contradict each other."""
    rows = [row for row in ROWS if row.name in names]
    flags = tuple(flag for row in rows for flag in row.flags)
    script = "\n".join(f"echo '{row.name}'\n({row.script}) 2>/dev/null" for row in rows)
    return Row("", flags, f"{script}\nexit 7")


@pytest.mark.parametrize("names", [AS_ROOT, AS_A_USER], ids=["as root", "as a user"])
def test_all_flags_together(podman: Podman, runc: Podman, names: frozenset[str]) -> None:
    test_the_same_as_with_runc(podman, runc, _together(names))


def test_standard_input(podman: Podman, runc: Podman) -> None:
    test_the_same_as_with_runc(podman, runc, next(row for row in ROWS if row.name == "stdin"))


@pytest.mark.nightly
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_same_as_with_runc(podman: Podman, runc: Podman, row: Row) -> None:
    words = (*row.flags, IMAGE, "sh", "-c", row.script)
    wanted = runc.box(*words, stdin=row.stdin)
    found = podman.box(*words, stdin=row.stdin)
    assert (found.code, found.out) == (wanted.code, wanted.out), found.err
    assert row.words in found.out


@dataclass(frozen=True, slots=True)
class Failure:
    """A command line that cannot run, and what is said about it."""

    name: str
    words: tuple[str, ...]
    code: int
    said: str


FAILURES: Final = (
    Failure("no such program", (IMAGE, "nothing"), 127, "executable file not found in $PATH"),
    Failure("no such path", (IMAGE, "/bin/nothing"), 127, "no such file or directory"),
    Failure("a directory", (IMAGE, "/etc"), 126, "permission denied"),
    Failure("not executable", (IMAGE, "/etc/plain"), 126, "permission denied"),
    Failure("unknown user", ("--user=nobody-here", IMAGE, "true"), 126, "nobody-here"),
)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_failures_are_told_as_with_runc(podman: Podman, runc: Podman, failure: Failure) -> None:
    wanted, found = runc.box(*failure.words), podman.box(*failure.words)
    assert (wanted.code, found.code) == (failure.code, failure.code), (wanted.err, found.err)
    newer_runcs = "is a directory"
    assert any(words in wanted.err for words in (failure.said, newer_runcs)), wanted.err
    assert failure.said in found.err
    assert "Traceback" not in found.err


def test_namespaces_of_the_host_are_the_guests(podman: Podman) -> None:
    """The machine has none of the host's: what is asked for is its own, as documented."""
    flags = ("--pid=host", "--ipc=host", "--uts=host", "--cap-add=sys_ptrace")
    links = "for n in pid ipc uts; do for p in 1 self; do readlink /proc/$p/ns/$n; done; done"
    script = f"uname -r; hostname; readlink /proc/1/exe; {links}"
    answer = podman.box(*flags, IMAGE, "sh", "-c", script)
    assert answer.code == 0, answer.err
    release, name, first, *spaces = answer.out.splitlines()
    assert release != Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert name != socket.gethostname()
    assert "python" in first, "process 1 is the guest's agent"
    assert spaces[::2] == spaces[1::2]


def test_a_network_with_interfaces_is_the_containers(podman: Podman) -> None:
    """A namespace in which nobody lives: it is held by a descriptor, which any root can name."""
    script = "ip link add e0 type veth peer name e1 && ip link set e0 up && echo up; exec sleep 99"
    words = ["unshare", "--net", "sh", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        held = os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY)
        holder.kill()
    path = f"/proc/{os.getpid()}/fd/{held}"
    try:
        answer = podman.run("run", "--rm", f"--network=ns:{path}", IMAGE, "cat", "/proc/net/dev")
    finally:
        os.close(held)
    assert answer.code == 0, answer.err
    assert " e0:" in answer.out


def test_a_network_that_is_none(podman: Podman) -> None:
    answer = podman.run("run", "--rm", "--network=ns:/etc/passwd", IMAGE, "true")
    assert answer.code == 126, answer.err
    assert "/etc/passwd is no namespace of type network" in answer.err


def test_a_network_in_use_by_others_is_shared(podman: Podman) -> None:
    """Its packets are left alone: the guest has its address, and no tap is there."""
    script = "ip link add e0 type veth peer name e1 && ip link set e0 up"
    address = "ip address add 10.9.8.7/24 dev e0"
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", f"{script} && {address} && echo up; exec sleep 99"],
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        path = f"/proc/{holder.pid}/ns/net"
        look = f"nsenter --net={path} ip -o link"
        before = subprocess.check_output(look.split(), text=True)
        flags = ("run", "--rm", f"--network=ns:{path}")
        answer = podman.run(*flags, IMAGE, "busybox", "ip", "address")
        after = subprocess.check_output(look.split(), text=True)
        holder.kill()
    assert answer.code == 0, answer.err
    assert "inet 10.9.8.7/24" in answer.out
    assert after == before


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("directory", "ro"),
        ("file", "z"),
        pytest.param("directory", "z", marks=pytest.mark.nightly),
        pytest.param("directory", "rw", marks=pytest.mark.nightly),
        pytest.param("file", "ro", marks=pytest.mark.nightly),
        pytest.param("file", "rw", marks=pytest.mark.nightly),
    ],
)
def test_volumes_show_the_host(podman: Podman, tmp_path: Path, kind: str, options: str) -> None:
    (tmp_path / "file").write_text("from the host\n")
    source, read = (tmp_path, "/x/file") if kind == "directory" else (tmp_path / "file", "/x")
    script = f"cat {read}; echo from the guest >{read}"
    answer = podman.box(f"--volume={source}:/x:{options}", IMAGE, "sh", "-c", script)
    written = "from the host\n" if options == "ro" else "from the guest\n"
    assert (answer.code == 0) is (options != "ro"), answer.err
    assert answer.out == "from the host\n"
    assert (tmp_path / "file").read_text() == written


def test_a_volume_given_to_the_user(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    flags = (f"--volume={tmp_path}:/x:U", "--user=1234:4321")
    answer = podman.box(*flags, IMAGE, "sh", "-c", "echo mine >/x/file; stat -c %u:%g /x/file")
    assert (answer.code, answer.out) == (0, "1234:4321\n"), answer.err
    assert (tmp_path / "file").stat().st_uid == 1234


def test_a_named_volume_begins_with_the_image_and_stays(podman: Podman) -> None:
    flags = ("--volume=kept:/var/data",)
    first = podman.box(
        *flags, IMAGE, "sh", "-c", "cat /var/data/first; echo more >/var/data/second"
    )
    assert (first.code, first.out) == (0, "from the image\n"), first.err
    again = podman.box(*flags, IMAGE, "cat", "/var/data/second")
    assert (again.code, again.out) == (0, "more\n"), again.err
    assert podman.ok("volume", "rm", "kept") == "kept"


def test_a_seccomp_profile_of_ones_own(podman: Podman, tmp_path: Path) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    flag = f"--security-opt=seccomp={tmp_path / 'profile.json'}"
    answer = podman.box(flag, IMAGE, "mkdir", "/tmp/x")
    assert answer.code == 1
    assert "not supported" in answer.err
