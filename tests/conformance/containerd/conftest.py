"""One private containerd for all tests, another for Kubernetes' side, and one running task for
those that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pytest

from tests.support import containerd as private
from tests.support import cri as client
from tests.support import dockerd, leaks
from tests.support.cli import Programs
from tests.support.containerd import Containerd
from tests.support.cri import Cri

KINDS: Final = ("process", "mount", "socket", "loop device", "memory file")


@pytest.fixture(scope="session")
def containerd(
    programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    """containerd with our runtime, the image loaded; nothing is left of it in the end."""
    with clean(programs), private.running(programs, tmp_path_factory.mktemp("ctd")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def cri(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cri]:
    """A containerd for Kubernetes, on a host that allows one annotation."""
    data, logs = tmp_path_factory.mktemp("cri"), tmp_path_factory.mktemp("logs")
    allowing = replace(programs, settings={"ENCLOS_ALLOWED_ANNOTATIONS": "memory"})
    with (
        clean(programs),
        private.running(allowing, data, cri=True) as daemon,
        client.served(daemon, logs) as found,
    ):
        yield found


@contextmanager
def clean(programs: Programs) -> Iterator[None]:
    """Nothing of a shim's is left after the block: no process, no mount, no record, no socket."""
    root = programs.state_root
    scope = leaks.Scope(
        roots=(root,), words=(), alone=False, others=(dockerd.PREFIX, private.SERVING)
    )
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
