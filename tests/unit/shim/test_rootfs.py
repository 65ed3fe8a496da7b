"""Which of a snapshotter's mounts are a disk for the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import Unsupported
from enclos.linux import libc
from enclos.sandbox.disksources import RootFile
from enclos.shim import rootfs
from enclos.shim.rootfs import Mount

BLOCK = "/var/lib/snapshots/7"


def _loop(kind: str, *options: str, target: str = "") -> Mount:
    return Mount(kind, BLOCK, target, ("loop", *options))


def test_a_file_with_a_file_system_is_the_machines() -> None:
    found = rootfs.file_of([_loop("ext4", "rw", "noatime", "commit=60")])
    assert found == RootFile(Path(BLOCK), "ext4", libc.MS_NOATIME, "commit=60")
    assert not found.readonly
    found = rootfs.file_of([_loop("erofs", "ro")])
    assert found is not None
    assert (found.readonly, found.data) == (True, "")


def test_everything_else_is_mounted_on_the_host() -> None:
    for mounts in (
        [],
        [Mount("overlay", "overlay", "", ("lowerdir=/a:/b",))],
        [Mount("ext4", "/dev/mapper/thin", "", ("rw",))],
        [Mount("bind", "/a", "", ("rbind", "ro"))],
    ):
        assert rootfs.file_of(mounts) is None


@pytest.mark.parametrize(
    ("mounts", "text"),
    [
        ([_loop("xfs")], "of type xfs with the option loop"),
        ([_loop("erofs", "ro", "device=/layers/1")], "several files .device=/layers/1."),
        ([_loop("erofs", target="/layer")], "several mounts"),
        ([_loop("erofs"), Mount("format/overlay", "overlay", "", ())], "several mounts"),
    ],
)
def test_what_the_guest_cannot_mount_is_refused(mounts: list[Mount], text: str) -> None:
    with pytest.raises(Unsupported, match=text) as refused:
        rootfs.file_of(mounts)
    assert refused.value.hint
