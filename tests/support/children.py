"""Run a piece of a test in a forked child, in namespaces of its own."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from enclos.linux import mount, namespaces


def inside(body: Callable[[], None], kinds: Sequence[str] = ("mount",)) -> None:
    """Call `body` in a child that has new namespaces of `kinds`; its failure is the test's.

    Mounts of the child are private to it, and gone with it.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(body, kinds, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if said or status:
        pytest.fail(f"in the child: {said or os.waitstatus_to_exitcode(status)}", pytrace=False)


def _run(body: Callable[[], None], kinds: Sequence[str], writer: int) -> None:
    status = 1
    try:
        namespaces.unshare(kinds)
        if "mount" in kinds:
            mount.make_private(Path("/"))
        body()
        status = 0
    except BaseException:  # noqa: BLE001 - the last frame of a forked child
        os.write(writer, traceback.format_exc().encode())
    finally:
        os._exit(status)
