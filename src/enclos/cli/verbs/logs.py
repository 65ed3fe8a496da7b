"""`logs`: what a container has written, from its recorded output."""

from __future__ import annotations

import time

from enclos.cli import belongings, logview, lookup, output, wording
from enclos.cli.home import Home, open_home
from enclos.cli.logview import Line, Running, Wanted
from enclos.cli.lookup import Container
from enclos.cli.parse import Parsed
from enclos.errors import NotFound, WrongState
from enclos.sandbox import reach


def run(asked: Parsed) -> int:
    """stdout's bytes go to stdout, stderr's to stderr."""
    home = open_home()
    container = lookup.find(home, asked.operands[0])
    wanted = _wanted(asked)
    path = belongings.log_of(home, container.defined().id)
    if not path.exists():
        if container.status == "created":
            return 0
        raise NotFound(
            f"the output of container {container.name} is not recorded",
            hint="a foreground run --rm keeps none; attach to it instead",
        )
    follow = _running(home, container) if asked.on("follow") else None
    for line in logview.lines(path, wanted, until_end_of=follow):
        _print(line, timestamps=asked.on("timestamps"))
    return 0


def _wanted(asked: Parsed) -> Wanted:
    now = time.time_ns()
    tail = asked.text("tail", "all")
    since, until = asked.text("since"), asked.text("until")
    return Wanted(
        tail=None if tail == "all" else wording.whole_number(tail, "--tail", least=-1),
        since_ns=wording.moment_ns(since, now_ns=now) if since else 0,
        until_ns=wording.moment_ns(until, now_ns=now) if until else 0,
    )


def _running(home: Home, container: Container) -> Running | None:
    """The container while it runs; None once it has ended."""
    if not container.running:
        return None
    try:
        return Running(container.id, reach.living(home.root, container.id)[1])
    except (NotFound, WrongState):
        return None


def _print(line: Line, *, timestamps: bool) -> None:
    data = line.data
    if timestamps and line.begins:
        seconds, rest = divmod(line.time_ns, 10**9)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        data = f"{stamp}.{rest:09d}Z ".encode() + data
    output.write_bytes(data, 1 if line.stream == "stdout" else 2)
