"""Makes the image `enclos/demo` from Debian's busybox-static, to run without any registry."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from enclos.assets import ocilayout
from enclos.linux import process

TAG: Final = "latest"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIRECTORIES: Final = {
    **dict.fromkeys(("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "var"), 0o755),
    **dict.fromkeys(("sbin", "usr/sbin"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}
_FILES: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hostname": "demo\n",
}
_CONFIG: Final = {"Env": [f"PATH={_PATH}"], "Cmd": ["sh"], "WorkingDir": "/"}


def make(busybox: Path, directory: Path) -> None:
    """Write the image as an OCI layout into the new `directory`."""
    members = (*_tree(), *_applets(busybox))
    ocilayout.write(directory, tag=TAG, members=members, config=_CONFIG)


def _tree() -> Iterator[ocilayout.Member]:
    for name, mode in _DIRECTORIES.items():
        yield ocilayout.Member(name, mode, tarfile.DIRTYPE)
    for name, text in _FILES.items():
        yield ocilayout.Member(name, 0o644, data=text.encode())


def _applets(busybox: Path) -> Iterator[ocilayout.Member]:
    """Busybox and a link for every applet, where the program itself says it belongs."""
    yield ocilayout.Member("bin/busybox", 0o755, data=busybox.read_bytes())
    listed = process.run([str(busybox), "--list-full"]).stdout.decode()
    for name in sorted(set(listed.split()) - {"bin/busybox", "linuxrc"}):
        yield ocilayout.Member(name, 0o777, tarfile.SYMTYPE, target="/bin/busybox")
