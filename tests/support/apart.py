"""Run a function in a child process with a mount namespace of its own."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from enclos.linux import libc
from enclos.linux.mount import make_private


def apart(function: Callable[[], object]) -> None:
    """Call `function` in the child; an exception there is an `AssertionError` here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(function, writer)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as pipe:
        text = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0, text


def _child(function: Callable[[], object], writer: int) -> NoReturn:
    status = 1
    try:
        libc.unshare(libc.CLONE_NEWNS)
        make_private(Path("/"))
        function()
        status = 0
    except BaseException:  # noqa: BLE001 - a forked child must not return into pytest
        os.write(writer, traceback.format_exc().encode()[-60_000:])
    finally:
        sys.stdout.flush()
        os._exit(status)
