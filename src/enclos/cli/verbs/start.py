"""`start`: start stopped or created containers, each in a new machine."""

from __future__ import annotations

from enclos.cli import console, keys, launch, lookup, session
from enclos.cli.eachone import each
from enclos.cli.follow import Followed, stoppable
from enclos.cli.home import Home, open_home
from enclos.cli.launch import Launch
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest


def run(asked: Parsed) -> int:
    """Print the names of what was started; with --attach, be its output and exit status."""
    home = open_home()
    if not asked.on("attach") and not asked.on("interactive"):
        template = not asked.on("no-template")
        with stoppable():
            return each(asked.operands, lambda name: start(home, name, template=template))
    if len(asked.operands) > 1:
        raise InvalidRequest(
            "cannot attach to several containers", hint="start one, or leave out --attach"
        )
    with stoppable():
        return _attached(home, asked)


def start(home: Home, name: str, *, template: bool = True) -> None:
    """Start one in the background; a running one is left alone, as docker does."""
    container = lookup.find(home, name)
    definition = container.defined()
    if container.running:
        return
    launched = launch.launch(home, definition, Launch(template=template))
    launched.connection.close()
    launch.stay_behind(home, definition, launched)


def _attached(home: Home, asked: Parsed) -> int:
    container = lookup.find(home, asked.operands[0])
    definition = container.defined()
    interactive = asked.on("interactive") and definition.interactive
    console.check(tty=definition.tty, interactive=interactive)
    detach_keys = asked.text("detach-keys", keys.DEFAULT)
    with console.opened(
        tty=definition.tty, interactive=interactive, detach_keys=detach_keys
    ) as opened:
        how = Launch(opened, template=not asked.on("no-template"))
        launched = launch.launch(home, definition, how)
        followed = Followed(
            launched.connection,
            definition.id,
            proxy=asked.on("sig-proxy", default=True),
            size=opened.size if definition.tty else None,
        )
        ended = session.stay(home, followed, opened)
    launch.finish(home, definition, launched, ended=ended is not None)
    return session.status_of(ended)
