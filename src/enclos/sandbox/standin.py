"""The stand-in: the host process whose pid an engine is given for a container or an exec.

Engines join it and look at it, so it lives where the container does (`homes`). It holds no stdio,
forwards signals and window changes, and ends with the process' status once the supervisor has
gone or said so (decisions 1 and 3).
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from enclos import log
from enclos.errors import EnclosError, Lost, MachineFailed
from enclos.linux import fork, terminal
from enclos.linux.cgroup import group
from enclos.linux.pid import ProcessRef
from enclos.sandbox import homes
from enclos.sandbox.client import Connection
from enclos.sandbox.homes import Home
from enclos.structs import dataclass
from enclos.wire import control as c
from enclos.wire import messages as m

LOST_STATUS: Final = 137
STAND_REQUEST: Final = 2
"""Number of the `stand` request, which `report_for_duty` sends in the stand-in's name."""
_REPORT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Duty:
    """Whose process this stands for; `slave` is its terminal's slave or -1.

    `arguments` are its command line, `oom_score_adj` what its spec says, None if nothing.
    """

    id: str
    exec_id: str
    arguments: tuple[str, ...] = ("enclos",)
    slave: int = -1
    oom_score_adj: int | None = None


def fork_init(
    home: Home, duty: Duty, connection: socket.socket, *, entrance: Sequence[int] = ()
) -> int:
    """Fork the stand-in of a container's init; returns its pid on the host.

    `connection` is its own connection to the supervisor; `entrance` leads into the container's
    control group. Raises `MachineFailed` with the step that did not work.
    """

    def leave() -> None:
        group.enter(entrance)  # before its namespace: the group becomes the root of what it sees
        homes.leave(home)

    return _fork(leave, lambda: homes.settle(home), duty, connection)


def fork_exec(
    init: ProcessRef, duty: Duty, connection: socket.socket, *, entrance: Sequence[int] = ()
) -> int:
    """Fork the stand-in of an exec process into the namespaces of the container's init.

    It enters the control group behind `entrance` in its own time: the kernel takes a moment for
    that (a grace period of 10 to 20 ms) which nobody should wait for.
    """
    return _fork(lambda: homes.join(init), lambda: None, duty, connection, late=entrance)


def report_for_duty(connection: socket.socket, duty: Duty, pid: int) -> None:
    """Tell the supervisor, once the process exists, that `connection` is its stand-in's."""
    Connection(connection).post("stand", c.Stand(duty.id, duty.exec_id, pid))


def tell_size(connection: Connection, duty: Duty) -> None:
    """Pass the window's size on once the process is there: its monitor may have set it before."""
    if duty.slave < 0:
        return
    rows, columns = terminal.window_size(duty.slave)
    if not rows or not columns:
        return
    size = m.Resize(duty.id, rows, columns, duty.exec_id)
    try:
        connection.call("resize", size, m.Nothing)
    except EnclosError as error:
        log.info("no terminal left to resize", container=duty.id, exec=duty.exec_id, error=error)


@dataclass(frozen=True, slots=True)
class Life:
    """What the children of one fork carry with them."""

    outside: Callable[[], None]
    inside: Callable[[], None]
    duty: Duty
    connection: socket.socket
    report: socket.socket
    standard: int
    late: Sequence[int]


def _fork(
    outside: Callable[[], None],
    inside: Callable[[], None],
    duty: Duty,
    connection: socket.socket,
    *,
    late: Sequence[int] = (),
) -> int:
    """Fork twice: the first child enters the namespaces, the second is the stand-in."""
    ours, theirs = socket.socketpair()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    standard = duty.slave if duty.slave >= 0 else null
    middle = os.fork()
    if middle == 0:
        ours.close()
        life = Life(outside, inside, duty, connection, theirs, standard, late)
        _middle(life)
    theirs.close()
    os.close(null)
    os.waitpid(middle, 0)
    with ours:
        told = b""
        while piece := ours.recv(_REPORT_BYTES):
            told += piece
    words: dict[str, str] = {}
    for line in told.decode(errors="replace").splitlines():
        word, _, rest = line.partition(" ")
        words[word] = rest
    if "ready" not in words:
        reason = words.get("failed", "it died")
        raise MachineFailed(f"cannot set up the container's stand-in process: {reason}")
    return int(words["pid"])


def _middle(life: Life) -> NoReturn:
    code = 1
    try:
        life.outside()
        pid = os.fork()
        if pid:
            life.report.send(f"pid {pid}\n".encode())
            os._exit(0)
        code = _become(life)
    except (EnclosError, OSError) as error:
        life.report.send(f"failed {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _become(life: Life) -> int:
    """The stand-in's whole life; returns what it ends with."""
    os.setsid()
    life.inside()
    wakeup, write = os.pipe()
    os.set_blocking(write, False)
    _adopt_signals(write)
    if life.duty.slave >= 0:
        terminal.make_controlling(life.duty.slave)
    keep = {wakeup, write, life.connection.fileno(), life.report.fileno(), *life.late}
    for number in range(3):
        os.dup2(life.standard, number)
    fork.close_fds_except({0, 1, 2, *keep})
    os.umask(0o022)
    _adjust(life.duty.oom_score_adj)
    fork.show_as(life.duty.arguments)
    link = Connection(life.connection, posted=STAND_REQUEST)
    life.report.send(b"ready\n")
    life.report.close()
    if not _enter_late(life.late):
        return LOST_STATUS
    return _serve(link, life.duty, wakeup)


def _enter_late(entrance: Sequence[int]) -> bool:
    """Whether the control group was still there; without it the container is gone as well."""
    try:
        group.enter(entrance)
    except OSError:
        return False
    for descriptor in entrance:
        os.close(descriptor)
    return True


def _adopt_signals(write: int) -> None:
    """Have every signal that can be caught written to `write`, and none left ignored."""
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, _nothing)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _nothing(_number: int, _frame: object) -> None:
    return None


def _adjust(oom_score: int | None) -> None:
    """Be as dear to the host's OOM killer as the spec says; lowering it takes a privilege."""
    if oom_score is None:
        return
    with suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, str(oom_score).encode())
        os.close(descriptor)


def _serve(link: Connection, duty: Duty, wakeup: int) -> int:
    """Forward signals until the supervisor has told the status, and gone if it is leaving."""
    number = STAND_REQUEST
    poller = select.poll()
    poller.register(wakeup, select.POLLIN)
    poller.register(link.fileno(), select.POLLIN)
    ended: c.Ended | None = None
    try:
        while ended is None or ended.leaving:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if link.fileno() in ready:
                link.receive(timeout_s=None)
            if link.answered(number):
                ended = link.wait_reply(number, c.Ended, timeout_s=None)
            if wakeup in ready:
                for value in os.read(wakeup, 64):
                    _forward(link, duty, value)
    except Lost:
        return LOST_STATUS if ended is None else ended.status
    return ended.status


def _forward(link: Connection, duty: Duty, number: int) -> None:
    if number == signal.SIGWINCH:
        if duty.slave >= 0:
            rows, columns = terminal.window_size(0)
            link.tell("resize", m.Resize(duty.id, rows, columns, duty.exec_id))
        return
    link.tell("signal", m.Signal(duty.id, number, duty.exec_id))
