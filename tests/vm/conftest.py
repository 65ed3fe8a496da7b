"""Stages for tests with a real guest: assets, then a template, then running containers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import bridges, leaks, sessions
from tests.support.bridges import Bridge, Member
from tests.support.cli import Programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Our programs with the session's own state root and data root.

    Assets and templates are the host's; its containers and images are none of a test's business.
    The first container of a session makes the template if there is none: that is slow once.
    """
    shared = Path(os.environ.get("ENCLOS_TEST_DATA_ROOT") or "/var/lib/enclos")
    if not (shared / "assets/current").exists():
        pytest.skip("assets are missing: make test builds them, or: enclos assets build")
    data_root = tmp_path_factory.mktemp("data")
    for name in ("assets", "templates"):
        (shared / name).mkdir(mode=0o700, exist_ok=True)
        (data_root / name).symlink_to(shared / name)
    (data_root / "containers").mkdir(mode=0o700)
    state_root = tmp_path_factory.mktemp("state")
    programs = Programs(state_root, data_root)
    for name in ("containers", "sandboxes"):
        (state_root / name).mkdir(mode=0o700)
    with sessions.using(state_root):
        programs.ok("run", "--rm", "enclos/demo", "true")
        yield programs


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    """A bridge of a module's own, with a namespace for it."""
    with bridges.new() as made:
        yield made


@pytest.fixture(scope="module")
def host(bridge: Bridge) -> Member:
    """A member of it that stands for the host."""
    return bridge.member()


Keep = Callable[..., str]


@pytest.fixture(scope="module")
def keep(programs: Programs) -> Iterator[Keep]:
    """A function that starts a sleeping container for a module's tests, given `run`'s flags.

    A sandbox costs seconds under emulation, an exec a fraction of that.
    """
    before = leaks.snapshot(programs.scope)
    with ExitStack() as removed:

        def start(*flags: str | Path, image: str = "enclos/demo") -> str:
            made = programs.ok("run", "-d", *flags, image, "sleep", "10000").strip()
            removed.callback(programs.enclos, "rm", "-f", made)
            return made

        yield start
    assert not leaks.wait_settled(before, programs.scope)


@pytest.fixture
def leak_scope(programs: Programs) -> leaks.Scope:
    """Look at the session's state root and the containers in the data root."""
    return programs.scope


@pytest.fixture(autouse=True)
def _clean(leak_check: None) -> None:
    """Every test with a guest leaves nothing behind."""
