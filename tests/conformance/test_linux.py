"""The specification's `mounts` and `linux`, as a program in the container sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.conftest import Pod
from tests.conformance.rows import Row, adding, at, together

ERRNO: Final = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
}
DEVICE: Final = {
    "path": "/dev/mine",
    "type": "c",
    "major": 1,
    "minor": 3,
    "fileMode": 0o640,
    "uid": 12,
    "gid": 34,
}
SYSLOG: Final = ["CAP_SYSLOG"]
KMSG: Final = {"path": "/dev/log", "type": "c", "major": 1, "minor": 11}
KMSG_ALLOWED: Final = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}
KMSG_THERE: Final = together(
    at("linux.devices", [KMSG]),
    at("process.capabilities", dict.fromkeys(("bounding", "effective", "permitted"), SYSLOG)),
)
"""The kernel lets only this capability open it; the container's cgroup has the other say."""
OPEN: Final = "(: </dev/log) 2>/dev/null && echo open || echo closed"
MEMORY: Final = 64 << 20
CGROUP: Final = "/sys/fs/cgroup"


def _tmpfs(destination: str, *options: str) -> dict[str, Any]:
    kind = {"type": "tmpfs", "source": "tmpfs"}
    return {"destination": destination, **kind, "options": list(options)}


ROWS: Final = (
    Row(
        "mounts, a tmpfs with a size",
        adding("mounts", _tmpfs("/new/place", "size=64k", "nosuid")),
        "busybox df -k /new/place | busybox awk 'NR==2 {print $2}'",
        "64",
    ),
    Row(
        "mounts, options",
        adding("mounts", _tmpfs("/a", "noexec", "ro")),
        "busybox grep ' /a ' /proc/self/mountinfo | busybox cut -d' ' -f6",
        "(?=.*noexec)(?=.*ro).*",
    ),
    Row(
        "mounts, the later one on top",
        adding("mounts", _tmpfs("/a", "size=64k"), _tmpfs("/a/b", "size=128k")),
        "busybox df -k /a/b | busybox awk 'NR==2 {print $2}'",
        "128",
    ),
    Row("linux.namespaces, pid", together(), "echo $$", "1"),
    Row("linux.namespaces, network", together(), "ls /sys/class/net", "lo"),
    Row(
        "linux.maskedPaths, a file",
        at("linux.maskedPaths", ["/proc/uptime"]),
        "wc -c </proc/uptime",
        "0",
    ),
    Row(
        "linux.maskedPaths, a directory",
        at("linux.maskedPaths", ["/sys/kernel"]),
        "ls /sys/kernel | wc -l",
        "0",
    ),
    Row(
        "linux.readonlyPaths",
        at("linux.readonlyPaths", ["/tmp"]),
        "touch /tmp/x 2>&1",
        ".*Read-only file system",
        code=1,
    ),
    Row(
        "linux.sysctl",
        at("linux.sysctl", {"kernel.shmmni": "1234", "net.ipv4.ip_forward": "1"}),
        "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward",
        "1234\n1",
    ),
    Row(
        "linux.devices",
        at("linux.devices", [DEVICE]),
        "busybox stat -c '%F %t:%T %a %u %g' /dev/mine",
        "character special file 1:3 640 12 34",
    ),
    Row(
        "the default devices",
        together(),
        "for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo $d; done; "
        "for l in fd stdin stdout stderr ptmx; do [ -L /dev/$l ] || echo $l; done",
        "",
    ),
    Row(
        "linux.resources.memory.limit",
        at("linux.resources.memory", {"limit": MEMORY}),
        f"cat {CGROUP}/memory.max",
        str(MEMORY),
    ),
    Row(
        "linux.resources.pids",
        at("linux.resources.pids", {"limit": 77}),
        f"cat {CGROUP}/pids.max",
        "77",
    ),
    Row(
        "linux.resources.cpu.quota",
        at("linux.resources.cpu", {"quota": 50000, "period": 100000}),
        f"cat {CGROUP}/cpu.max",
        "50000 100000",
    ),
    Row("linux.resources.devices, not allowed", KMSG_THERE, OPEN, "closed"),
    Row(
        "linux.resources.devices, allowed",
        together(KMSG_THERE, adding("linux.resources.devices", KMSG_ALLOWED)),
        OPEN,
        "open",
    ),
    Row(
        "linux.seccomp",
        at("linux.seccomp", ERRNO),
        "busybox mkdir /tmp/x 2>&1",
        ".*not supported",
        code=1,
    ),
    Row(
        "linux.rootfsPropagation",
        at("linux.rootfsPropagation", "shared"),
        "busybox grep -c ' / / .* shared:' /proc/self/mountinfo || "
        "busybox awk '$5==\"/\" {print $7}' /proc/self/mountinfo",
        r"1|shared:\d+",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_row(pod: Pod, row: Row) -> None:
    answer = pod.run(row.script, row.change)
    assert answer.code == row.code, answer.err
    assert row.fits(answer.out), answer.out


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_a_bind_mount_shows_the_host(pod: Pod, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("from the host\n")
    source, read = (tmp_path, "/x/file") if kind == "directory" else (tmp_path / "file", "/x")
    mount = {"destination": "/x", "type": "bind", "source": str(source), "options": ["bind"]}
    answer = pod.run(f"cat {read}; echo from the guest >{read}", adding("mounts", mount))
    assert (answer.code, answer.out) == (0, "from the host\n"), answer.err
    assert (tmp_path / "file").read_text() == "from the guest\n"


def test_a_read_only_bind_mount_is_read_only(pod: Pod, tmp_path: Path) -> None:
    options = ["rbind", "ro"]
    mount = {"destination": "/x", "type": "bind", "source": str(tmp_path), "options": options}
    answer = pod.run("touch /x/y 2>&1", adding("mounts", mount))
    assert answer.code == 1
    assert "Read-only file system" in answer.out
    assert not list(tmp_path.iterdir())


def test_hooks_of_the_runtime_run_on_the_host(pod: Pod, tmp_path: Path) -> None:
    moments = ("createRuntime", "poststart", "poststop")
    hooks = {
        moment: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >{tmp_path / moment}"]}]
        for moment in moments
    }
    answer = pod.run("true", at("hooks", hooks))
    assert answer.code == 0, answer.err
    assert [moment for moment in moments if (tmp_path / moment).stat().st_size] == list(moments)


def test_hooks_of_the_container_run_in_the_guest(pod: Pod) -> None:
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "uname -r >/tmp/release"]}
    answer = pod.run(
        'test "$(cat /tmp/release)" = "$(uname -r)" && echo same',
        at("hooks.startContainer", [hook]),
    )
    assert (answer.code, answer.out) == (0, "same\n"), answer.err
