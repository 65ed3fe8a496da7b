"""Runs a verb of the engine in a child: in containerd's mount namespace, apart from the loop.

The verbs that make things block, fork stand-ins, run hooks and want the caller's mounts; a child
may do all that while the supervisor serves others. Its answer is text or an error of our tree.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from enclos.errors import EnclosError, MachineFailed
from enclos.linux import fork, libc
from enclos.wire import envelopes

_DONE: Final = b"="
_FAILED: Final = b"!"
_READ_BYTES: Final = 65536
_REAP_S: Final = 1.0
_POLL_S: Final = 0.002

running: Final[set[int]] = set()
"""Children of the moment: each is collected by the call that it works for."""


async def run(mounts: int, body: Callable[[], str], *, keep: Sequence[int] = ()) -> str:
    """What `body` returns, run in a child in the mount namespace `mounts`.

    Of our descriptors it has those in `keep` only. Raises what it raised. If the call is
    cancelled, the child does its work all the same and is whoever's to collect.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    child = os.fork()
    if child == 0:
        fork.run_and_exit(lambda: _work(mounts, body, keep=keep, writer=writer))
    os.close(writer)
    running.add(child)
    try:
        answer = await _read(reader)
        os.waitpid(child, 0)  # it has answered, or died
    finally:
        os.close(reader)
        running.discard(child)
    return _result(answer)


def _work(mounts: int, body: Callable[[], str], *, keep: Sequence[int], writer: int) -> int:
    fork.close_fds_except({0, 1, 2, writer, mounts, *keep})
    os.set_blocking(writer, True)
    os.umask(0o022)
    fork.become_subreaper()
    try:
        libc.setns(mounts, libc.CLONE_NEWNS)
        os.chdir("/")
        answer = _DONE + body().encode("utf-8", "surrogateescape")
    except EnclosError as error:
        answer = _failed(error)
    except OSError as error:
        answer = _failed(MachineFailed(str(error)))
    with suppress(BrokenPipeError):  # nobody waits for it any more
        while answer:
            answer = answer[os.write(writer, answer) :]
    return 0


def _failed(error: EnclosError) -> bytes:
    """The answer, once the stand-in that may have been killed has been reaped."""
    deadline = time.monotonic() + _REAP_S
    while time.monotonic() < deadline:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(_POLL_S)
        except ChildProcessError:
            break
    return _FAILED + envelopes.failure(error)


async def _read(reader: int) -> bytes:
    """Everything until the child has closed its end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    pieces: list[bytes] = []

    def readable() -> None:
        piece = os.read(reader, _READ_BYTES)
        pieces.append(piece)
        if not piece and not done.done():
            done.set_result(None)

    loop.add_reader(reader, readable)
    try:
        await done
    finally:
        loop.remove_reader(reader)
    return b"".join(pieces)


def _result(answer: bytes) -> str:
    if answer.startswith(_DONE):
        return answer[1:].decode("utf-8", "surrogateescape")
    if not answer.startswith(_FAILED):
        raise MachineFailed("the process that did it died")
    raise envelopes.error_of(answer[1:])
