"""A child that does one thing for us while we go on, and says why where it could not.

It has a socket whose other end is readable when it is done: with the reason if it failed, at its
end otherwise. So it can be waited for in a loop; `collect` is for when that has happened. It ends
with us: whoever takes our place may do the same work, and what it was to undo is written down.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from enclos.errors import MachineFailed
from enclos.linux import fork, jail
from enclos.structs import dataclass

_REPORT_BYTES: Final = 4096

running: Final[set[int]] = set()
"""Children of the moment: each is collected by whoever has sent it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A child at work on what `name` says; `report` is readable once it is done."""

    pid: int
    name: str
    report: socket.socket


@contextmanager
def sent(name: str, body: Callable[[], object], *, keep: Sequence[int] = ()) -> Iterator[Errand]:
    """`body` at work in a child, which is killed if it still is when the context ends.

    Of our descriptors it has those in `keep`. Raises `OSError` if the kernel refuses the fork.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child = os.fork()
            if child == 0:
                _do(body, theirs, keep)
        running.add(child)
        try:
            yield Errand(child, name, ours)
        finally:
            if child in running:
                running.discard(child)
                jail.reap(child)


def _do(body: Callable[[], object], report: socket.socket, keep: Sequence[int]) -> NoReturn:
    code = 1
    try:
        fork.close_fds_except({0, 1, 2, report.fileno(), *keep})
        fork.end_with(report)
        body()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the last frame of a forked child
        reason = str(error) or repr(error)
        report.send(reason.encode("utf-8", "replace")[:_REPORT_BYTES])
    finally:
        os._exit(code)


def collect(errand: Errand) -> None:
    """Take the end of a child that is done; one that is not is killed.

    Raises `MachineFailed` with the reason if it did not do what it was sent for.
    """
    try:
        report = errand.report.recv(_REPORT_BYTES, socket.MSG_DONTWAIT)
    except BlockingIOError:
        report = b"it took too long"
        os.kill(errand.pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(errand.pid, 0)[1])
    running.discard(errand.pid)
    if code:
        how = f"killed by signal {-code}" if code < 0 else f"ended with status {code}"
        raise MachineFailed(f"{errand.name}: {report.decode('utf-8', 'replace') or how}")
