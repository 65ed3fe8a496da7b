"""Makes the tool root: QEMU, virtiofsd and passt with what they load, root of the jail they run in.

It holds no shell script, no setuid program and nothing writable: a process that breaks out
of QEMU finds the files named here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos.assets import selection

QEMU: Final = "usr/bin/qemu-system-x86_64"
VIRTIOFSD: Final = "usr/libexec/virtiofsd"
PASST: Final = "usr/bin/passt"
BUSYBOX: Final = "usr/bin/busybox"
UID: Final = 64055
"""User and group id of the jailed QEMU and passt, known as `enclos` in there."""

_PROGRAMS: Final = (QEMU, VIRTIOFSD, PASST, "usr/bin/passt.avx2", BUSYBOX)
_FIRMWARE: Final = (
    "usr/share/seabios/bios-256k.bin",
    "usr/share/qemu/efi-virtio.rom",
    "usr/share/qemu/kvmvapic.bin",
    "usr/share/qemu/linuxboot_dma.bin",
    "usr/share/qemu/pvh.bin",
)
_MOUNT_POINTS: Final = ("dev", "proc", "run", "share", "sys", "tmp")
_PASSWD: Final = f"""\
root:x:0:0:root:/:/bin/false
enclos:x:{UID}:{UID}:enclos:/:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
_GROUP: Final = f"root:x:0:\nenclos:x:{UID}:\nnogroup:x:65534:\n"


def make(root: Path, target: Path) -> None:
    """Fill the new directory `target` from the unpacked packages in `root`."""
    selection.take(root, target, (*_PROGRAMS, *_FIRMWARE, "usr/lib/os-release"))
    selection.take_libraries(root, target, (name for name in _PROGRAMS if name != BUSYBOX))
    for name in _MOUNT_POINTS:
        (target / name).mkdir()
    (target / "etc").mkdir()
    (target / "etc/passwd").write_text(_PASSWD)
    (target / "etc/group").write_text(_GROUP)
