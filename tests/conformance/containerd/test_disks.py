"""Root file systems that are files: disks of the machine, which the host never mounts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from enclos.linux import mountinfo
from enclos.shim.events import packed
from enclos.shim.proto import runcoptions_pb2, types_pb2
from enclos.shim.proto import task_pb2 as t
from tests.support import specs
from tests.support.containerd import TASK, Containerd
from tests.support.ttrpc import Client, Failed

SIZE_BYTES: Final = 32 << 20
BUSYBOX: Final = Path("/bin/busybox")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What the file systems are made of."""
    root = tmp_path / "tree"
    for name in ("bin", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "greeting").write_text("hello from the disk\n")
    return root


def _ext4(tree: Path, file: Path) -> Path:
    file.touch()
    os.truncate(file, SIZE_BYTES)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-d", tree, file], check=True, timeout=60)
    return file


def _erofs(tree: Path, file: Path) -> Path:
    subprocess.run(["/usr/bin/mkfs.erofs", file, tree], check=True, timeout=60, capture_output=True)
    return file


def _spec(script: str) -> dict[str, Any]:
    document = specs.runc()
    document["process"] |= {"args": ["/bin/sh", "-c", script], "terminal": False}
    document["root"] = {"path": "rootfs", "readonly": False}
    return document


@contextmanager
def _shim(containerd: Containerd, bundle: Path, script: str) -> Iterator[Client]:
    """A shim of a bundle, as containerd would have one; gone afterwards.

    It gets an option that means nothing to it, which is for the log and not for the answer.
    """
    (bundle / "rootfs").mkdir(parents=True)
    (bundle / "log").touch()
    (bundle / "config.json").write_text(json.dumps(_spec(script)))
    program = os.fspath(containerd.place / "bin/containerd-shim-enclos-v2")
    words = [program, "-namespace", "disks", "-address", os.fspath(bundle), "-id", bundle.name]
    options = packed(runcoptions_pb2.Options(io_uid=7)).SerializeToString()
    done = subprocess.run(
        [*words, "start"], cwd=bundle, input=options, capture_output=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "option=io_uid" in (bundle / "log").read_text()
    try:
        with closing(Client.dial(Path(done.stdout.decode().removeprefix("unix://")))) as client:
            yield client
    finally:
        subprocess.run([*words, "-bundle", os.fspath(bundle), "delete"], check=True, timeout=60)


def _create(client: Client, bundle: Path, mount: types_pb2.Mount) -> None:
    request = t.CreateTaskRequest(
        id=bundle.name, bundle=os.fspath(bundle), rootfs=[mount], stdout=f"file://{bundle}/out"
    )
    client.call(TASK, "Create", request, t.CreateTaskResponse, timeout_s=120)


def _run(containerd: Containerd, bundle: Path, script: str, mount: types_pb2.Mount) -> str:
    """Run a script on a root file system to its end; its output."""
    with _shim(containerd, bundle, script) as client:
        _create(client, bundle, mount)
        client.call(TASK, "Start", t.StartRequest(id=bundle.name), t.StartResponse, timeout_s=60)
        sources = {entry.source for entry in mountinfo.entries()}
        assert not [one for one in sources if one == mount.source or "/dev/loop" in one]
        ended = client.call(TASK, "Wait", t.WaitRequest(id=bundle.name), t.WaitResponse)
        client.call(TASK, "Delete", t.DeleteRequest(id=bundle.name), t.DeleteResponse)
        out = (bundle / "out").read_text()
        assert ended.exit_status == 0, out
        return out


def test_a_file_of_ext4(containerd: Containerd, tree: Path, tmp_path: Path) -> None:
    """It is read and written in the guest, and what was written is in the file afterwards."""
    file = _ext4(tree, tmp_path / "disk")
    script = "read a </greeting; echo $a; echo written >/new; busybox grep ' / ' /proc/mounts"
    mount = types_pb2.Mount(type="ext4", source=str(file), options=["loop", "rw"])
    lines = _run(containerd, tmp_path / "b-ext4", script, mount).splitlines()
    assert lines[0] == "hello from the disk"
    assert lines[1].startswith("/dev/vd")
    assert " ext4 rw," in lines[1]
    shown = subprocess.run(
        ["/usr/sbin/debugfs", "-R", "cat /new", file], check=True, timeout=60, capture_output=True
    )
    assert shown.stdout == b"written\n"


def test_a_file_of_erofs(containerd: Containerd, tree: Path, tmp_path: Path) -> None:
    if not Path("/usr/bin/mkfs.erofs").exists():
        pytest.skip("mkfs.erofs is missing: apt-get install erofs-utils")
    file = _erofs(tree, tmp_path / "disk")
    script = (
        "read a </greeting; echo $a; busybox touch /x || echo no; busybox grep ' / ' /proc/mounts"
    )
    mount = types_pb2.Mount(type="erofs", source=str(file), options=["loop", "ro"])
    lines = _run(containerd, tmp_path / "b-erofs", script, mount).splitlines()
    assert lines[:2] == ["hello from the disk", "no"]
    assert " erofs ro," in lines[2]


@pytest.mark.parametrize(
    ("kind", "source", "text"),
    [
        ("ext4", "tree/greeting", "cannot mount the root file system of type ext4"),
        ("ext4", "tree", "is no file|cannot open"),
        ("ext4", "missing", "cannot open the root file system"),
        ("xfs", "tree/greeting", "of type xfs with the option loop"),
    ],
)
def test_a_root_that_cannot_be(
    containerd: Containerd, tree: Path, tmp_path: Path, kind: str, source: str, text: str
) -> None:
    """It is refused in our words, and nothing is left."""
    bundle = tmp_path / f"bad-{kind}"
    mount = types_pb2.Mount(type=kind, source=str(tree.parent / source), options=["loop"])
    with (
        _shim(containerd, bundle, "true") as client,
        pytest.raises(Failed, match=text),
    ):
        _create(client, bundle, mount)


def test_the_snapshotter_blockfile(containerd: Containerd) -> None:
    """ctr of containerd 2 with it: the same program, once with each kernel."""
    if containerd.major < 2:
        pytest.skip("containerd 2 is missing: make test-containerd2 has one")
    flags = ("--snapshotter", "blockfile")
    script = "grep ' / ' /proc/mounts; echo kept >/kept; cat /kept"
    answer = containerd.run("blockfile", "sh", "-c", script, flags=flags)
    assert answer.code == 0, answer.err
    first, second = answer.out.splitlines()
    assert first.startswith("/dev/vd")
    assert " ext4 rw," in first
    assert second == "kept"
    with containerd.detached("blocks", "exec sleep 10000", flags=flags) as name:
        assert containerd.exec(name, "ls", "/bin/sh").out == "/bin/sh\n"
