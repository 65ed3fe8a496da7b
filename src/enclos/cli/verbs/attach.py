"""`attach`: join the streams of a running container."""

from __future__ import annotations

from enclos.cli import console, keys, lookup, session
from enclos.cli.follow import Followed
from enclos.cli.home import open_home
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.errors import WrongState
from enclos.sandbox import reach
from enclos.wire import control as c
from enclos.wire import messages as m


def run(asked: Parsed) -> int:
    """The exit status is the program's, unless the user leaves before it."""
    home = open_home()
    container = lookup.find(home, asked.operands[0])
    _check(container)
    record, connection = reach.living(home.root, container.id)
    stdin = not asked.on("no-stdin") and _reads_input(container)
    detach_keys = asked.text("detach-keys", keys.DEFAULT)
    with console.joined(tty=record.terminal, stdin=stdin, detach_keys=detach_keys) as joined:
        request = c.Attach(container.id, joined.channels.stdin, stdin_ends=not record.terminal)
        connection.call("attach", request, m.Nothing, descriptors=joined.descriptors)
        joined.handed_over()
        rows, columns = joined.size()
        if record.terminal and rows:
            connection.post("resize", m.Resize(container.id, rows, columns))
        followed = Followed(
            connection,
            container.id,
            proxy=asked.on("sig-proxy", default=True),
            size=joined.size if record.terminal else None,
        )
        ended = session.stay(home, followed, joined)
    return session.status_of(ended)


def _check(container: Container) -> None:
    if container.status == "paused":
        raise WrongState(
            "cannot attach to a paused container", hint=f"run: enclos unpause {container.name}"
        )
    if not container.running:
        raise WrongState(
            f"cannot attach to container {container.name}: it is not running",
            hint=f"start it with: enclos start --attach {container.name}",
        )


def _reads_input(container: Container) -> bool:
    return container.definition is None or container.definition.interactive
