"""Descriptors that came along with a request: whoever uses one takes it out of its list.

So a request that is refused half way leaves none of them open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def closing(*lists: list[int]) -> Iterator[None]:
    """Close, in the end, what is still in the lists."""
    try:
        yield
    finally:
        for descriptors in lists:
            while descriptors:
                os.close(descriptors.pop())


def take(descriptors: list[int], count: int) -> list[int]:
    """The first `count` of a list, which loses them."""
    taken, descriptors[:count] = descriptors[:count], []
    return taken
