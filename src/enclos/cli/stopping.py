"""Ends a running container: its stop signal, some time, then SIGKILL."""

from __future__ import annotations

from typing import Final

from enclos.cli import wording
from enclos.cli.home import Home
from enclos.cli.lookup import Container
from enclos.errors import Lost, NotFound, TimedOut, WrongState
from enclos.linux import signals
from enclos.sandbox import freeze, kill, reach, wait
from enclos.wire import control as c

DEFAULT_TIMEOUT_S: Final = 10.0
_TERM: Final = "TERM"
_KILL: Final = 9


def timeout_of(text: str) -> float:
    """Seconds from the flag --time; negative, for the container's own, if it was not given."""
    return float(wording.whole_number(text, "--time")) if text else -1.0


def stop(home: Home, container: Container, *, signal: str = "", timeout_s: float = -1) -> None:
    """Return when it has ended and its sandbox is gone; a stopped one is left as it is.

    Without `signal` and with a negative `timeout_s` the container's own count.
    """
    definition = container.definition
    text = signal or (definition.stop_signal if definition else "") or _TERM
    if timeout_s < 0:
        timeout_s = definition.stop_timeout_s if definition else DEFAULT_TIMEOUT_S
    number = signals.parse(text)
    if not container.running:
        return
    try:
        _, connection = reach.living(home.root, container.id)
        if container.status == "paused":
            freeze.resume(home.root, container.id)
        kill.kill(home.root, container.id, number)
        try:
            connection.call("wait", c.Named(container.id), c.Ended, timeout_s=max(timeout_s, 0.01))
        except TimedOut:
            kill.kill(home.root, container.id, _KILL)
        wait.wait_on(home.root, connection, container.id)
    except (WrongState, NotFound, Lost):
        return  # it ended by itself meanwhile
