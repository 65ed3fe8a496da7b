"""`stats`: what containers use, from their cgroups in their guests."""

from __future__ import annotations

import time
from typing import Final

from enclos.cli import lookup, output, usage
from enclos.cli.home import Home, open_home
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.cli.usage import Usage
from enclos.errors import EnclosError
from enclos.linux import terminal
from enclos.sandbox import ask

_INTERVAL_S: Final = 1.0
_HOME_CURSOR: Final = "\x1b[2J\x1b[H"


def run(asked: Parsed) -> int:
    """Once a second, over the last figures on a terminal; or once."""
    home = open_home()
    stream = not asked.on("no-stream")
    how = asked.text("format")
    clear = stream and terminal.is_terminal(1) and how in {"", "table"}
    before = _sample(home, asked)
    while True:
        time.sleep(_INTERVAL_S)
        now = _sample(home, asked)
        listed = [
            usage.row(one, before.get(one.container.id), truncate=not asked.on("no-trunc"))
            for one in now.values()
        ]
        text = output.rendered(listed, usage.COLUMNS, how)
        output.write((_HOME_CURSOR if clear else "") + text)
        if not stream:
            return 0
        before = now


def _sample(home: Home, asked: Parsed) -> dict[str, Usage]:
    """Figures by id; a named container must exist, others may come and go."""
    if asked.operands:
        chosen = [lookup.find(home, name) for name in asked.operands]
    else:
        chosen = [one for one in lookup.everything(home) if one.running or asked.on("all")]
    return {one.id: _usage(home, one) for one in chosen}


def _usage(home: Home, container: Container) -> Usage:
    if not container.running:
        return Usage(container, {}, time.time_ns())
    try:
        answer = ask.stats(home.root, container.id)
    except EnclosError:
        return Usage(container, {}, time.time_ns())
    return Usage(container, answer.files, answer.time_ns)
