"""Stages for tests with a real guest: assets, then a template, then running containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import leaks
from tests.support.cli import Programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Our programs with the session's own state root and the shared data root.

    The first container of a session makes the template if there is none: that is slow once.
    """
    data_root = Path(os.environ.get("ENCLOS_TEST_DATA_ROOT", "/var/lib/enclos"))
    if not (data_root / "assets/current").exists():
        pytest.skip("assets are missing: make test builds them, or: enclos assets build")
    state_root = tmp_path_factory.mktemp("state")
    programs = Programs(state_root, data_root)
    for name in ("containers", "sandboxes"):
        (state_root / name).mkdir(mode=0o700)
    programs.ok("run", "--rm", "enclos/demo", "true")
    return programs


@pytest.fixture
def leak_scope(programs: Programs) -> leaks.Scope:
    """Look at the session's state root and the containers in the data root."""
    return leaks.Scope(roots=(programs.state_root, programs.data_root / "containers"))


@pytest.fixture(autouse=True)
def _clean(leak_check: None) -> None:
    """Every test with a guest leaves nothing behind."""
