"""The agent's parts over a socket pair."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import port as ports
from tests.support.port import Port


@pytest.fixture
def port() -> Iterator[Port]:
    """The guest's end in this process, the host's end in the test's hands."""
    with ports.port() as made:
        yield made
