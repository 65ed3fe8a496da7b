"""--privileged means all of the guest and nothing of the host; --device passes what was chosen."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support import dockerd
from tests.support.dockerd import CLIENT, CONTAINERD, DAEMON, IMAGE, Docker

TOOLS: Final = "tools:test"
DISK_BYTES: Final = 32 << 20
CAP_SYS_RESOURCE: Final = 24
"""crun wants it to raise a limit."""

PRIVILEGED: Final = """\
set -e
mkdir /mnt; mount -t tmpfs none /mnt; umount /mnt; echo mount
mknod /tmp/null c 1 3; echo >/tmp/null; echo mknod
sysctl -w kernel.msgmax=9000 >/dev/null; cat /proc/sys/kernel/msgmax
mkdir /sys/fs/cgroup/sub; sh -c 'echo $$ >/sys/fs/cgroup/sub/cgroup.procs; cat /proc/self/cgroup'
cd /var/lib/docker; mkdir l u w m; echo low >l/f
mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m; echo up >>m/f; cat u/f; umount m
truncate -s 8M img; mke2fs -q -F img >/dev/null; loop=$(losetup -f); losetup $loop img
mount -t ext2 $loop m; echo in >m/f; cat m/f; umount m; losetup -d $loop; echo loop
for d in fuse net/tun loop0 loop-control kmsg; do
    [ -c /dev/$d ] || [ -b /dev/$d ] || echo no $d
done
"""
NESTED: Final = """\
set -e
cd /var/lib/containers; mkdir -p u w b/rootfs
mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w b/rootfs
cd b; crun spec
sed -i 's/"terminal": true/"terminal": false/; s/"readonly": true/"readonly": false/' config.json
crun --cgroup-manager=cgroupfs run nested <<'S'
hostname; cat /proc/self/cgroup; touch /made; ls /dev | wc -l; exit 4
S
"""
DOCKER: Final = """\
set -e
mkdir -p /run /var/run /sys/fs/cgroup/init
for p in $(cat /sys/fs/cgroup/cgroup.procs); do
    echo $p >/sys/fs/cgroup/init/cgroup.procs || : # cat has gone
done
echo +cpu +memory +pids >/sys/fs/cgroup/cgroup.subtree_control
containerd >/containerd.log 2>&1 &
n=0
until [ -S /run/containerd/containerd.sock ]; do
    n=$((n+1)); [ $n -lt 300 ] || { tail -n 20 /containerd.log >&2; exit 8; }; sleep 1
done
dockerd --containerd /run/containerd/containerd.sock --bridge none --iptables=false \\
    --ip6tables=false --ip-forward=false >/log 2>&1 &
n=0
until [ -S /var/run/docker.sock ] && docker version >/dev/null 2>&1; do
    n=$((n+1)); [ $n -lt 100 ] || { tail -n 20 /log >&2; exit 9; }; sleep 1
done
tar -c -C / bin | docker import - inner >/dev/null
docker info --format '{{.Driver}} {{.CgroupVersion}}'
docker run --rm --network none --memory 32m inner \
    sh -c 'cat /proc/1/comm /sys/fs/cgroup/memory.max; echo made >/made; cat /made; exit 5'
"""
"""What dockerd needs of a cgroup v2 is that no process is in the group it makes others in; it
waits but 15 seconds for a containerd of its own, which is little under emulation."""


@contextmanager
def loop_device(directory: Path, content: bytes) -> Iterator[tuple[str, Path]]:
    """A block device of the host, and the file behind it."""
    backing = directory / "disk"
    with backing.open("wb") as file:
        file.write(content)
        file.truncate(DISK_BYTES)
    done = subprocess.run(
        ["losetup", "--find", "--show", backing], capture_output=True, text=True, check=True
    )
    try:
        yield done.stdout.strip(), backing
    finally:
        subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    with loop_device(tmp_path, b"the host's disk") as found:
        yield found


def test_a_disk_is_passed_under_its_name(docker: Docker, disk: tuple[str, Path]) -> None:
    device, backing = disk
    script = (
        "head -c 15 /dev/mine; echo; blockdev --getsize64 /dev/mine; echo written >/dev/mine; "
        "stat -c '%F %a' /dev/mine; ls /dev | grep -e loop -e vd -e sd"
    )
    found = docker.run("--device", f"{device}:/dev/mine", IMAGE, "sh", "-c", script)
    assert found.out.splitlines() == [
        "the host's disk", str(DISK_BYTES), "block special file 600",
    ], found.err  # fmt: skip
    assert backing.read_bytes().startswith(b"written\n")


def test_a_disk_that_may_only_be_read(docker: Docker, disk: tuple[str, Path]) -> None:
    device, backing = disk
    script = "head -c 3 /dev/mine; echo; echo written >/dev/mine"
    found = docker.run("--device", f"{device}:/dev/mine:r", IMAGE, "sh", "-c", script)
    assert (found.code, found.out) == (1, "the\n")
    assert "can't create /dev/mine" in found.err
    assert backing.read_bytes().startswith(b"the host's disk")


def test_what_is_no_disk_is_refused_by_name(docker: Docker) -> None:
    device = "/dev/loop7"
    if Path("/sys/block/loop7/loop/backing_file").exists():
        pytest.skip("loop7 is in use")
    found = docker.run("--device", f"{device}:/dev/mine", IMAGE, "true")
    assert found.code == 125
    assert "cannot pass the device /dev/mine (7:7)" in found.err
    assert "(name a block device of this host that has a medium)" in found.err
    refused = docker.run("--device", "/dev/vga_arbiter", IMAGE, "true")
    assert refused.code == 125
    assert "is a device of the host, not of the guest" in refused.err
    assert "/dev/vga_arbiter (c " in refused.err


def test_the_guests_own_devices(docker: Docker) -> None:
    script = "for d in net/tun fuse; do : <>/dev/$d && stat -c '%n %t:%T' /dev/$d; done"
    found = docker.run(
        "--device", "/dev/net/tun", "--device", "/dev/fuse", IMAGE, "sh", "-c", script
    )
    assert found.out == "/dev/net/tun a:c8\n/dev/fuse a:e5\n", found.err


def test_privileged_is_all_of_the_guest(docker: Docker) -> None:
    found = docker.run("--privileged", IMAGE, "sh", "-c", PRIVILEGED)
    assert (found.code, found.out.splitlines()) == (
        0,
        [
            "mount",
            "mknod",
            "9000",
            "0::/sub",
            "low",
            "up",
            "in",
            "loop",
        ],
    ), found.err
    assert Path("/proc/sys/kernel/msgmax").read_text() != "9000\n"


def test_privileged_has_all_capabilities(docker: Docker) -> None:
    """The first 38 are all that docker 20.10 knows; later ones hand on what dockerd has itself."""
    found = docker.run("--privileged", IMAGE, "grep", "CapEff", "/proc/self/status")
    assert found.out.split()[1] in {"0000003fffffffff", f"{_own_capabilities():016x}"}


def _own_capabilities() -> int:
    """Of this process, hence of the daemons it starts."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd"))


def test_privileged_is_nothing_of_the_host(docker: Docker, disk: tuple[str, Path]) -> None:
    """No disk, no file system and no path of the host but the container's own."""
    script = (
        "cut -d' ' -f3 /proc/mounts | sort -u; echo; cat /sys/block/*/size; echo; "
        "for d in /dev/loop* /dev/[sv]d*; do head -c 15 $d; done 2>/dev/null"
    )
    found = docker.run("--privileged", IMAGE, "sh", "-c", script)
    kinds, sizes, heads = found.out.split("\n\n")
    assert set(kinds.split()) <= {
        "cgroup2", "devpts", "ext4", "mqueue", "proc", "sysfs", "tmpfs", "virtiofs",
    }  # fmt: skip
    assert "host's disk" not in heads
    assert str(DISK_BYTES // 512) not in sizes.split()
    host = {path.read_text().strip() for path in Path("/sys/block").glob("*/size")} - {"0"}
    assert not host & set(sizes.split())


def test_privileged_with_a_chosen_disk(docker: Docker, disk: tuple[str, Path]) -> None:
    found = docker.run(
        "--privileged", "--device", f"{disk[0]}:/dev/mine", IMAGE, "head", "-c", "15", "/dev/mine"
    )
    assert found.out == "the host's disk", found.err


@pytest.fixture(scope="module")
def tools(docker: Docker) -> str:
    """An image with crun in it."""
    archive = dockerd.image(dockerd.with_libraries("/usr/bin/crun"))
    docker.ok("import", "-", TOOLS, stdin=archive)
    return TOOLS


def test_a_container_in_a_container(docker: Docker, tools: str) -> None:
    if docker.enter and not _own_capabilities() >> CAP_SYS_RESOURCE & 1:
        pytest.skip("no CAP_SYS_RESOURCE on this host, which newer dockers then do not hand on")
    found = docker.run("--privileged", tools, "sh", "-c", NESTED)
    assert found.code == 4, found.err
    lines = found.out.splitlines()
    assert lines[0] == "crun"
    assert lines[1] == "0::/"
    assert int(lines[2]) > 10


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_docker_in_docker(docker: Docker) -> None:
    """A whole docker, that pulls nothing: layers on an overlay, limits in a group below ours."""
    programs = [CONTAINERD, CLIENT, DAEMON, "/usr/bin/containerd-shim-runc-v2", "/usr/bin/runc"]
    docker.ok("import", "-", "engine:test", stdin=dockerd.image(dockerd.with_libraries(*programs)))
    flags = ("--privileged", "--memory", "768m")
    found = docker.run(*flags, "engine:test", "sh", "-c", DOCKER, timeout_s=800)
    assert (found.code, found.out.splitlines()) == (
        5,
        ["overlay2 2", "sh", str(32 << 20), "made"],
    ), found.err
    docker.ok("rmi", "engine:test")
