"""`events`: a container's statistics, one JSON object a line, and word of what was killed in it."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Final

from enclos.errors import InvalidRequest, Lost, NotFound, TimedOut, WrongState
from enclos.ocicli import figures, report, where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import reach
from enclos.sandbox.client import Connection
from enclos.wire import control as c
from enclos.wire import messages as m

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_PART: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_DEFAULT: Final = "5s"


def run(call: Invocation) -> int:
    """See the table. Ends with the container."""
    name = call.arguments[0]
    interval_s = seconds(call.flags.text("interval", _DEFAULT))
    _, connection = reach.living(where.root(call), name)
    if call.flags.on("stats"):
        _say("stats", name, figures.stats(_files(connection, name)))
        return 0
    try:
        _follow(connection, name, interval_s)
    except (Lost, NotFound, WrongState):
        return 0  # the container has ended, and its sandbox with it
    return 0


def seconds(text: str) -> float:
    """A duration as Go writes it (`5s`, `1m30s`, `500ms`); raises `InvalidRequest`."""
    parts = _PART.findall(text)
    total = sum(float(count) * _UNITS[unit] for count, unit in parts)
    if "".join(count + unit for count, unit in parts) != text or not total:
        raise InvalidRequest(
            f"invalid value {text[:80]!r} for --interval", hint="use more than 0, such as 5s or 1m"
        )
    return total


def _follow(connection: Connection, name: str, interval_s: float) -> None:
    """Say what happens, and the figures once in each interval, until the container has ended."""
    seen = connection.call("watch", c.Watch(name, -1), c.Watched)
    next_s = time.monotonic() + interval_s
    while not seen.ended:
        number = connection.post("watch", c.Watch(name, seen.kills))
        while not connection.answered(number):
            if _wait_something(connection, next_s):
                next_s += interval_s
                _say("stats", name, figures.stats(_files(connection, name)))
        now = connection.wait_reply(number, c.Watched, timeout_s=None)
        for _ in range(now.kills - seen.kills):
            _say("oom", name)
        seen = now


def _wait_something(connection: Connection, until_s: float) -> bool:
    """Take in what arrives; True once it is time."""
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        return True
    try:
        connection.receive(timeout_s=left_s)
    except TimedOut:
        return True
    return False


def _files(connection: Connection, name: str) -> dict[str, str]:
    return connection.call("stats", c.Named(name), m.Stats).files


def _say(kind: str, name: str, data: dict[str, Any] | None = None) -> None:
    event: dict[str, Any] = {"type": kind, "id": name}
    if data is not None:
        event["data"] = data
    report.answer(json.dumps(event) + "\n")
