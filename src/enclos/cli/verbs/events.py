"""`events`: what happens to containers, told as their records change."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from enclos.cli import changes, output, wording
from enclos.cli.changes import Event
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest

_FILTERS: Final = ("container", "event", "label")


def run(asked: Parsed) -> int:
    """One line each, until the time given or until interrupted."""
    wanted = _filters(asked.texts("filter"))
    how = asked.text("format")
    home = open_home()
    now = time.time_ns()
    since, until = asked.text("since"), asked.text("until")
    since_ns = wording.moment_ns(since, now_ns=now) if since else now
    until_ns = wording.moment_ns(until, now_ns=now) if until else 0
    template = output.one_line(how)
    for event in changes.follow(home, since_ns=since_ns, until_ns=until_ns):
        if all(_any(event, key, values) for key, values in wanted.items()):
            output.write(template(_fields(event)) if how else _plain(event))
    return 0


def _filters(texts: Iterable[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in _FILTERS:
            raise InvalidRequest(
                f"invalid filter {text[:80]!r}",
                hint=f"write KEY=VALUE with one of: {', '.join(_FILTERS)}",
            )
        wanted.setdefault(key, []).append(value)
    return wanted


def _any(event: Event, key: str, values: list[str]) -> bool:
    return any(_matches(event, key, value) for value in values)


def _matches(event: Event, key: str, value: str) -> bool:
    if key == "event":
        return event.action == value
    if key == "container":
        return event.name == value or event.id.startswith(value)
    name, equals, wanted = value.partition("=")
    return name in event.labels and (not equals or event.labels[name] == wanted)


def _fields(event: Event) -> dict[str, object]:
    attributes = {"image": event.image, "name": event.name, **event.labels}
    if event.action == "die" and event.exit_status is not None:
        attributes["exitCode"] = str(event.exit_status)
    return {
        "Type": "container",
        "Action": event.action,
        "status": event.action,
        "id": event.id,
        "from": event.image,
        "Actor": {"ID": event.id, "Attributes": attributes},
        "scope": "local",
        "time": event.time_ns // 10**9,
        "timeNano": event.time_ns,
    }


def _plain(event: Event) -> str:
    seconds, rest = divmod(event.time_ns, 10**9)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    known = event.action == "die" and event.exit_status is not None
    exit_code = f"exitCode={event.exit_status}, " if known else ""
    about = f"{exit_code}image={event.image}, name={event.name}"
    return f"{stamp}.{rest:09d}Z container {event.action} {event.id} ({about})\n"
