"""Fixtures for the root conftest to hand out: import them there by name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import leaks


@pytest.fixture
def leak_scope(tmp_path_factory: pytest.TempPathFactory) -> leaks.Scope:
    """What `leak_check` looks at: this process' own, as others may run tests beside it.

    Override it where a test has roots of its own.
    """
    own = os.fspath(tmp_path_factory.getbasetemp())
    return leaks.Scope(words=(leaks.WORD, own), alone=leaks.alone())


@pytest.fixture
def leak_check(leak_scope: leaks.Scope) -> Iterator[None]:
    """Fail the test if it leaves a process, mount, control group, link, socket or file behind."""
    before = leaks.snapshot(leak_scope)
    yield
    left = leaks.wait_settled(before, leak_scope)
    lines = [f"{kind}: {line}" for kind, found in left.items() for line in found]
    if lines:
        pytest.fail("the test left behind:\n" + "\n".join(lines))
