"""One private containerd for all tests, and one running task for those that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support import containerd as private
from tests.support import leaks
from tests.support.cli import Programs
from tests.support.containerd import Containerd

KINDS: Final = ("process", "mount", "socket", "loop device", "memory file")


@pytest.fixture(scope="session")
def containerd(
    programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    """containerd with our runtime, the image loaded; nothing is left of it in the end."""
    with clean(programs), private.running(programs, tmp_path_factory.mktemp("ctd")) as daemon:
        yield daemon


@contextmanager
def clean(programs: Programs) -> Iterator[None]:
    """Nothing of a shim's is left after the block: no process, no mount, no record, no socket."""
    root = programs.state_root
    scope = leaks.Scope(roots=(root,), words=(), alone=False)
    before = leaks.snapshot(scope)
    yield

    def left() -> list[str]:
        leaks.reap_adopted()
        found = leaks.difference(before, leaks.snapshot(scope))
        things = [line for kind in KINDS for line in found.get(kind, ())]
        return [*things, *map(str, (*root.glob("shim/*/*/*"), *root.glob("s/*")))]

    private.wait_for(lambda: not left(), lambda: str(left()))


@pytest.fixture(scope="module")
def box(containerd: Containerd) -> Iterator[str]:
    """A running task."""
    with containerd.detached("box", "exec sleep 10000") as name:
        yield name
