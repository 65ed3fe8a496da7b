"""Fixtures for the root conftest to hand out: import them there by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import leaks


@pytest.fixture
def leak_scope() -> leaks.Scope:
    """What `leak_check` looks at; override it where a test has roots of its own."""
    return leaks.Scope()


@pytest.fixture
def leak_check(leak_scope: leaks.Scope) -> Iterator[None]:
    """Fail the test if it leaves a process, mount, control group, link, socket or file behind."""
    before = leaks.snapshot(leak_scope)
    yield
    left = leaks.wait_settled(before, leak_scope)
    lines = [f"{kind}: {line}" for kind, found in left.items() for line in found]
    if lines:
        pytest.fail("the test left behind:\n" + "\n".join(lines))
