"""Puts the guest's initrd together: Python and agent, crun, busybox, libraries, modules.

The kernel unpacks it into the guest's memory, where it stays: every byte counts. The same
parts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from enclos.assets import agent, closure, cpio, libraries, modules, python, selection
from enclos.structs import dataclass

DYNAMIC: Final = (python.PROGRAM, "usr/bin/crun")
BUSYBOX: Final = "usr/bin/busybox"
PROGRAMS: Final = (*DYNAMIC, BUSYBOX)
_LINKS: Final = {
    **selection.MERGED,
    selection.LINKER_LINK: selection.LINKER_TARGET,
    "usr/sbin/modprobe": "../bin/busybox",
    "usr/bin/sh": "busybox",
}
_DIRECTORIES: Final = ("dev", "proc", "sys", "run", "tmp", "root", "etc", "var")
_INIT: Final = f"""\
#!/{python.PROGRAM} -ISB
import os, sys
os.environ["NO_COLOR"] = "1"  # for tracebacks, which are read in logs
sys.path.append("/{python.AGENT_DIRECTORY}")
from {agent.ENTRY} import main
main()
"""
_PASSWD: Final = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP: Final = "root:x:0:\nnogroup:x:65534:\n"


@dataclass(frozen=True, slots=True)
class Initrd:
    """The archive, the agent in it, and bytes by part for the report."""

    data: bytes
    agent_version: str
    agent_files: tuple[str, ...]
    sizes: dict[str, int]


def build(root: Path, release: str, package_root: Path = agent.PACKAGE_ROOT) -> Initrd:
    """The initrd from the unpacked guest packages in `root` and the agent's sources."""
    found = closure.find(package_root)
    sources = (*found.files, *agent.recipe())
    version = agent.version(sources, package_root)
    code = python.collect(root, found, package_root)
    dynamic = [*(root / program for program in DYNAMIC), *code.extensions]
    parts = {
        "modules": list(_modules(root / "usr/lib/modules" / release, release)),
        "code": [cpio.regular(name, data) for name, data in code.files.items()],
        "programs": [_copied(root, path) for path in (*dynamic, root / BUSYBOX)],
        "libraries": [_copied(root, path) for path in libraries.closure(root, dynamic)],
        "rest": list(_rest(version)),
    }
    sizes = {part: sum(len(one.data) for one in entries) for part, entries in parts.items()}
    data = cpio.archive(entry for entries in parts.values() for entry in entries)
    return Initrd(data, version, sources, sizes)


def _copied(root: Path, path: Path) -> cpio.Entry:
    mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return cpio.regular(path.relative_to(root).as_posix(), path.read_bytes(), mode=mode)


def _modules(directory: Path, release: str) -> Iterator[cpio.Entry]:
    selection = modules.choose(directory)
    for _module, file, content in selection.files():
        yield cpio.regular(f"usr/lib/modules/{release}/{file}", content)
    for name, text in modules.tables(selection, release).items():
        yield cpio.regular(name, text.encode())


def _rest(version: str) -> Iterator[cpio.Entry]:
    yield from (cpio.directory(name) for name in _DIRECTORIES)
    yield from (cpio.symlink(name, target) for name, target in _LINKS.items())
    # Where Python looks for the other half of its library; without it, it warns.
    yield cpio.directory(f"{python.LIBRARY}/lib-dynload")
    yield cpio.character_device("dev/console", 0o600, major=5, minor=1)
    yield cpio.character_device("dev/null", 0o666, major=1, minor=3)
    # Python wants a hash seed at start: the kernel's generator is not seeded that early.
    yield cpio.character_device("dev/urandom", 0o666, major=1, minor=9)
    yield cpio.regular("init", _INIT.encode(), mode=0o755)
    yield cpio.regular("etc/enclos/version", f"{version}\n".encode())
    yield cpio.regular("etc/passwd", _PASSWD.encode())
    yield cpio.regular("etc/group", _GROUP.encode())
