"""Another release of Debian in a root of its own, with the host's kernel and processes.

Made once by mmdebstrap and kept in the tests' cache. Entered by a mount namespace and
`pivot_root`: inside a mere chroot the kernel refuses user namespaces.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from enclos.linux import libc, mount, namespaces
from tests.support.cli import TREE

CACHE: Final = Path(os.environ.get("ENCLOS_DEV_CACHE", "/var/cache/enclos-dev")) / "roots"
_MIRROR: Final = "http://deb.debian.org/debian"
_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_OLD_MIRRORS: Final = {"sid": ('--aptopt=Acquire::Check-Valid-Until "false"',)}
"""A mirror that is a few days behind is as good: sid's lists are said to be valid for a week."""
_KERNEL_TREES: Final = ("proc", "sys", "dev")
_ASSETS: Final = ("assets", "templates")
"""Links in a test's data root."""


def made(suite: str, packages: Sequence[str]) -> Path:
    """A root of `suite` with `packages`; raises `CalledProcessError` if it cannot be had."""
    key = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    place = CACHE / f"{suite}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / ".complete").exists():
            subprocess.run(["rm", "-rf", "--one-file-system", str(place)], check=True)
            line = f"deb [signed-by={_KEYRING}] {_MIRROR} {suite} main"
            names = f"--include={','.join(packages)}"
            words = [
                "mmdebstrap",
                "--mode=root",
                "--variant=minbase",
                names,
                *_OLD_MIRRORS.get(suite, ()),
                suite,
                str(place),
                line,
            ]
            subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL)
            (place / ".complete").touch()
    return place


@contextmanager
def with_ours(suite: str, packages: Sequence[str], data_root: Path) -> Iterator[tuple[str, ...]]:
    """The words that enter a root of `suite` in which this tree, its data root, the libraries
    and all temporary files are at their own places."""
    shared = [Path(tempfile.gettempdir()), TREE, Path(sysconfig.get_path("purelib"))]
    places = {data_root.resolve(), *((data_root / name).resolve() for name in _ASSETS)}
    shared += sorted(place for place in places if not place.is_relative_to(shared[0]))
    with entered(made(suite, packages), shared) as words:
        yield words


@contextmanager
def entered(root: Path, shared: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    """The words that begin a command inside `root`, where `shared` are at their own paths."""
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        _hold(root, shared, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    try:
        assert said == "ready", f"cannot enter {root}: {said}"
        yield ("nsenter", f"--mount=/proc/{holder}/ns/mnt", "--")
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)


def _hold(root: Path, shared: Sequence[Path], writer: int) -> NoReturn:
    try:
        _enter(root, shared)
        os.write(writer, b"ready")
        os.close(writer)
        while True:
            signal.pause()
    except OSError as error:
        os.write(writer, str(error).encode())
    finally:
        os._exit(1)


def _enter(root: Path, shared: Sequence[Path]) -> None:
    namespaces.unshare(["mount"])
    mount.make_slave(Path("/"))
    top = os.fspath(root)
    libc.mount(top, top, "", libc.MS_BIND, "")
    for place in (*(Path("/") / name for name in _KERNEL_TREES), *shared):
        target = root / place.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        libc.mount(os.fspath(place), os.fspath(target), "", libc.MS_BIND | libc.MS_REC, "")
    libc.mount("tmpfs", os.fspath(root / "run"), "tmpfs", 0, "mode=755")
    namespaces.enter_root(root)
    libc.mount("", "/", "", libc.MS_REC | libc.MS_SHARED, "")
