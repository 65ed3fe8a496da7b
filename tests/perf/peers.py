"""The runtimes we are compared with: runc and crun of this machine, gVisor's runsc of backports."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.perf import commands
from tests.perf.series import Unavailable, to_stderr

_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MIRROR: Final = "http://deb.debian.org/debian"
_PURE_V1: Final = "umount -a -t cgroup2; exec sleep infinity"
"""Debian's crun refuses a hybrid cgroup layout: it gets a mount namespace without the v2 mount."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A runtime as the start of a command; `flags` are its global ones."""

    name: str
    command: tuple[str, ...]

    def argv(self, *rest: str) -> list[str]:
        """The whole command."""
        return [*self.command, *rest]


@contextmanager
def found(runsc: str, scratch: Path) -> Iterator[Sequence[Peer]]:
    """The runtimes that this machine has, each with a state root of its own."""
    peers: list[Peer] = []
    if runc := shutil.which("runc"):
        peers.append(Peer("runc", (runc, "--root", str(scratch / "runc"))))
    if runsc:
        flags = ("--ignore-cgroups", "--network=none", "--platform=systrap")
        peers.append(Peer("runsc", (runsc, "--root", str(scratch / "runsc"), *flags)))
    crun = shutil.which("crun")
    if crun is None:
        yield peers
        return
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", _PURE_V1]) as holder:
        try:
            enter = ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", f"--wd={scratch}")
            peers.append(Peer("crun", (*enter, crun, "--root", str(scratch / "crun"))))
            yield peers
        finally:
            holder.kill()


def fetch_runsc(cache: Path) -> str:
    """The path of backports' runsc, unpacked into `cache` if it is not there yet.

    Returns nothing, and says why, if it cannot be had.
    """
    program = cache / "usr" / "bin" / "runsc"
    if program.exists():
        return str(program)
    if on_path := shutil.which("runsc"):
        return on_path
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    lines = [f"deb [signed-by={_KEYRING}] {_MIRROR} {suite} main" for suite in _SUITES]
    argv = ["mmdebstrap", "--mode=root", "--variant=extract", f"--include=runsc/{_SUITES[1]}"]
    try:
        commands.run([*argv, _SUITES[0], str(cache), *lines])
    except Unavailable as error:
        to_stderr(f"no runsc: {error}")
        return ""
    return str(program) if program.exists() else ""


_SUITES: Final = ("bookworm", "bookworm-backports")
