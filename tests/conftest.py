"""What every test gets: its tier's marker and time limit, and the stages a tier starts from.

The tier is the directory. `unit` may neither sleep nor need root; `component` wants root; `vm`
and `conformance` want root and the built assets. A stage that cannot be reached skips, naming
what is missing; `packaging/test.sh` fails a tier in which everything was skipped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.support import leaks, sessions
from tests.support.fixtures import leak_check, leak_scope

__all__ = ["leak_check", "leak_scope"]

TESTS: Final = Path(__file__).resolve().parent
TREE: Final = TESTS.parent
TIERS: Final = ("repo", "unit", "component", "vm", "conformance")
LIMIT_S: Final = {"component": 180, "vm": 600, "conformance": 600}
NIGHT: Final = 3
"""How much longer the tests of the night may take."""
PAUSE_S: Final = 0.05
_BEFORE: Final = pytest.StashKey[leaks.Snapshot]()
ROOTLESS: Final = ("repo", "unit")

hypothesis.settings.register_profile(
    "enclos", deadline=None, derandomize=True, print_blob=True, database=None
)
hypothesis.settings.load_profile("enclos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its tier, and give it the tier's time limit unless it has its own."""
    for item in items:
        tier = _tier(item.path)
        item.add_marker(tier)
        if tier in LIMIT_S and item.get_closest_marker("timeout") is None:
            longer = NIGHT if item.get_closest_marker("nightly") else 1
            item.add_marker(pytest.mark.timeout(LIMIT_S[tier] * longer))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note what the host has, in the process that hands out the tests; a session that was cut off
    has left none of it."""
    if not hasattr(session.config, "workerinput"):
        if os.geteuid() == 0:
            _say(session, sessions.end_dead())
        session.config.stash[_BEFORE] = leaks.host_wide()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tests that run beside each other are asked together what they left."""
    before = session.config.stash.get(_BEFORE, None)
    if before is None:
        return
    left = leaks.difference(before, leaks.host_wide())
    if left:
        _say(session, [f"the tests left behind: {left}"])
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _say(session: pytest.Session, lines: list[str]) -> None:
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    for line in lines:
        reporter.write_line(line, red=True)


@pytest.fixture(autouse=True)
def _tier_rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    tier = _tier(request.path)
    if tier == "unit":
        monkeypatch.setattr(time, "sleep", _no_sleep)
    if tier not in ROOTLESS and os.geteuid() != 0:
        pytest.skip(f"{tier} tests need root")


def _tier(path: Path) -> str:
    name = path.relative_to(TESTS).parts[0]
    if name not in TIERS:
        raise pytest.UsageError(f"{path} is in no tier: put it below one of {', '.join(TIERS)}")
    return name


def _no_sleep(seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Refuse to wait; the few milliseconds between two looks at a child's end are none."""
    assert seconds <= PAUSE_S, f"a unit test slept for {seconds} s"
    sleep(seconds)
