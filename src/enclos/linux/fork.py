"""Forks of our own: detached processes, and what a child sheds of its parent's state."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn

from enclos.linux import libc
from enclos.linux.pid import ProcessRef, ref

if TYPE_CHECKING:
    import socket

_LAST_DESCRIPTOR: Final = 0xFFFFFFFF
_LIBC_SIGNALS: Final = {32, 33}
"""glibc keeps these real-time signals to itself."""
_KEPT: Final = {signal.SIGKILL, signal.SIGSTOP}
_STOPPING: Final = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}


def fork_detached(body: Callable[[], int]) -> ProcessRef:
    """Run `body` in a grandchild, in a session of its own, orphaned to the next reaper.

    Its result becomes the exit status (125 if it raises). The child in between is reaped here.
    The caller chooses the descriptors: none is closed. Raises `OSError` if the fork fails.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    middle = os.fork()
    if middle == 0:
        os.close(reader)
        _split(writer, body)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(middle, 0)
    if not answer:
        raise OSError(11, "fork_detached: the second fork failed")  # EAGAIN
    pid, start = answer.split()
    return ProcessRef(int(pid), int(start))


def _split(writer: int, body: Callable[[], int]) -> NoReturn:
    """The child in between: fork again, say the grandchild's pid and start, end."""
    try:
        gate_reader, gate_writer = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.close(gate_writer)
            os.setsid()
            os.read(gate_reader, 1)  # until the parent in between has read our start time
            os.close(gate_reader)
            run_and_exit(body)
        found = ref(pid)
        os.write(writer, b"%d %d" % (found.pid, found.start))
    finally:
        os._exit(0)


def run_and_exit(body: Callable[[], int]) -> NoReturn:
    """Run `body` as the last thing this forked process does; nothing of the parent's unwinds."""
    status = 125
    try:
        status = body()
    except BaseException as error:  # noqa: BLE001 - the last frame of a forked child
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(status)


def spawn_detached(
    argv: Sequence[str], *, environment: Mapping[str, str], descriptors: Mapping[int, int]
) -> ProcessRef:
    """Run a program as an orphan in a session of its own, with exactly these descriptors.

    Keys are the program's numbers, values the caller's, who keeps them; 0 to 2 are /dev/null
    unless named. A program that cannot be executed ends with 127.
    """

    def body() -> int:
        high = {number: _above(source) for number, source in descriptors.items()}
        null_stdio()
        for number, source in high.items():
            os.dup2(source, number)
        close_fds_except({0, 1, 2, *descriptors})
        reset_signals()
        try:
            os.execve(argv[0], list(argv), dict(environment))
        except OSError:
            return 127

    return fork_detached(body)


def _above(descriptor: int) -> int:
    """A copy out of the way of the numbers that programs are given."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 64)


def close_fds_except(keep: Iterable[int]) -> None:
    """Close every descriptor that is not in `keep`."""
    low = 0
    for number in sorted(set(keep)):
        if number > low:
            _close_range(low, number - 1)
        low = number + 1
    _close_range(low, _LAST_DESCRIPTOR)


def _close_range(first: int, last: int) -> None:
    try:
        libc.close_range(first, last)
    except OSError:  # before Linux 5.9
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        os.closerange(first, min(last, limit) + 1)


def reset_signals() -> None:
    """Default actions and an empty mask: conmon's children inherit an ignored SIGPIPE."""
    for number in range(1, signal.NSIG):
        if number not in _KEPT and number not in _LIBC_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@contextmanager
def signals_held() -> Iterator[None]:
    """Let no signal come between a deed and the note of how it is undone."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def null_stdio() -> None:
    """Point descriptors 0 to 2 at /dev/null."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null, number)
    if null > 2:
        os.close(null)


def set_process_name(name: str) -> None:
    """Name this thread as `ps -o comm` shows it (the first 15 bytes)."""
    libc.prctl(libc.PR_SET_NAME, name.encode("utf-8", "surrogateescape")[:15])


def show_as(arguments: Sequence[str]) -> None:
    """Look like a process that was started with `arguments`: its name and its command line.

    A kernel that does not let us change the command line leaves ours.
    """
    set_process_name(os.path.basename(arguments[0]))
    words = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in arguments)
    with suppress(OSError):
        libc.set_arguments(words)


def end_with(link: socket.socket) -> None:
    """End by SIGKILL when the thread that forked us ends; its process has `link`'s other end.

    So it is seen whether that has happened before.
    """
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    poller = select.poll()
    poller.register(link, select.POLLHUP | select.POLLRDHUP)
    if poller.poll(0):
        os._exit(125)


def become_subreaper() -> None:
    """Orphans below this process become its children instead of init's (Linux 3.4)."""
    libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
