"""Which /dev/shm is an engine's own: a tmpfs called so, mounted where the bind begins."""

from __future__ import annotations

from pathlib import Path

from enclos.linux import libc
from enclos.oci.types import Mount
from enclos.sandbox import sharedmemory
from tests.support.apart import apart


def _bound(source: Path, destination: str = "/dev/shm") -> tuple[Mount, ...]:
    return (Mount("/proc", "proc"), Mount(destination, "bind", str(source), ("bind",)))


def test_an_engines_tmpfs_has_a_size(tmp_path: Path) -> None:
    def looks() -> None:
        for name in ("shm", "data"):
            (tmp_path / name).mkdir()
            libc.mount(name, str(tmp_path / name), "tmpfs", 0, "size=192k")
        (tmp_path / "shm/below").mkdir()
        assert sharedmemory.size_bytes(_bound(tmp_path / "shm")) == 192 << 10
        assert sharedmemory.size_bytes(_bound(tmp_path / "shm", "/elsewhere")) == 0
        assert sharedmemory.size_bytes(_bound(tmp_path / "shm/below")) == 0
        assert sharedmemory.size_bytes(_bound(tmp_path / "data")) == 0, "somebody's own"
        assert sharedmemory.size_bytes(_bound(tmp_path)) == 0
        assert sharedmemory.size_bytes((Mount("/dev/shm", "tmpfs", "shm"),)) == 0

    apart(looks)
