"""Staying with a program that runs in the foreground, and what its end means for us."""

from __future__ import annotations

from typing import Final

from enclos.cli import complain
from enclos.cli.console import Console
from enclos.cli.follow import Followed, follow
from enclos.cli.home import Home
from enclos.errors import EnclosError, Lost
from enclos.sandbox import wait
from enclos.wire import control as c

_LOST_STATUS: Final = 137


def stay(home: Home, followed: Followed, console: Console) -> c.Ended | None:
    """How the program ended; None if the user left it running."""
    try:
        return follow(followed, console.lanes, detached=lambda: console.watcher.detached)
    except Lost:
        return _recorded(home, followed)
    finally:
        followed.connection.close()


def _recorded(home: Home, followed: Followed) -> c.Ended:
    if followed.exec_id:
        return c.Ended(_LOST_STATUS, "its sandbox has ended")
    try:
        return wait.recorded(home.root, followed.id)
    except EnclosError:
        return c.Ended(_LOST_STATUS, "it was removed")


def status_of(ended: c.Ended | None) -> int:
    """The exit status of the command; says why, if the program did not end by itself."""
    if ended is None:
        complain.write("read escape sequence\n")
        return 0
    if ended.reason:
        first, *rest = ended.reason.splitlines()
        complain.say(f"the container ended: {first}")
        for line in rest:
            complain.write(f"  {line}\n")
    return ended.status
