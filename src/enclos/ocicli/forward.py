"""What an attached `run` or `exec` passes on while it waits: signals, window sizes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from enclos.errors import EnclosError
from enclos.linux import terminal
from enclos.sandbox import attach, kill
from enclos.state.store import StateRoot

_FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                     signal.SIGUSR1, signal.SIGUSR2)  # fmt: skip


@contextmanager
def forwarding(
    root: StateRoot, container_id: str, *, exec_id: str = "", terminal_fd: int
) -> Iterator[None]:
    """Pass signals on to the process, and the window's size where there is a terminal."""

    def forward(number: int, _frame: object) -> None:
        try:
            kill.kill(root, container_id, number, exec_id=exec_id)
        except EnclosError:
            return  # it has just ended

    def resize(_number: int, _frame: object) -> None:
        rows, columns = terminal.window_size(terminal_fd)
        attach.resize_process(root, container_id, exec_id, rows=rows, columns=columns)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    if terminal_fd >= 0:
        before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
