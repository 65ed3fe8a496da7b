"""What has changed between two looks at the containers, and when to look again.

The records are the truth: an event is a difference between two snapshots of them. inotify says
when one was written, pidfds when a supervisor died without writing.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from typing import Final

from enclos.cli import lookup, wording
from enclos.cli.home import Home
from enclos.cli.lookup import Container
from enclos.linux import libc, pidfd
from enclos.sandbox import reach
from enclos.structs import dataclass

_IN_MOVED_FROM: Final = 0x40
_IN_MOVED_TO: Final = 0x80
_IN_CREATE: Final = 0x100
_IN_DELETE: Final = 0x200
_MASK: Final = _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
_AGAIN_S: Final = 1.0
"""Looked at the latest after this, for what no event tells: the state root's own appearance."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a container; `exit_status` is None where nobody knows it."""

    time_ns: int
    action: str
    id: str
    name: str
    image: str
    exit_status: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def follow(home: Home, *, since_ns: int, until_ns: int) -> Iterator[Event]:
    """Events since then, as far as records still tell, then as they come; 0: without end."""
    known = {one.id: one for one in lookup.everything(home)}
    yield from sorted(_past(known, since_ns, until_ns), key=lambda event: event.time_ns)
    while not until_ns or time.time_ns() < until_ns:
        with ExitStack() as stack:
            poller = _watch(home, known, stack)
            now = {one.id: one for one in lookup.everything(home)}  # after watching: nothing lost
            yield from between(known, now)
            if known == now:
                poller.poll(_patience_ms(until_ns))
                now = {one.id: one for one in lookup.everything(home)}
                yield from between(known, now)
            known = now


def _patience_ms(until_ns: int) -> float:
    left_s = (until_ns - time.time_ns()) / 1e9 if until_ns else _AGAIN_S
    return max(0.0, min(left_s, _AGAIN_S)) * 1000


def _watch(home: Home, known: Mapping[str, Container], stack: ExitStack) -> select.poll:
    """Wakes when a record or definition is written, moved or removed, or a supervisor dies."""
    descriptor = libc.inotify_init()
    stack.callback(os.close, descriptor)
    records_place = home.root.path / "containers"
    places = [records_place, home.data_root / "containers"]
    places += [records_place / one for one in known]
    for place in places:
        _add(descriptor, place)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    for one in known.values():
        supervisor = _supervisor(home, one, stack)
        if supervisor is not None:
            poller.register(supervisor, select.POLLIN)
    return poller


def _add(descriptor: int, place: Path) -> None:
    try:
        libc.inotify_add_watch(descriptor, os.fspath(place), _MASK)
    except FileNotFoundError:
        return  # not there yet, or not any more


def _supervisor(home: Home, container: Container, stack: ExitStack) -> int | None:
    if not container.running or container.record is None:
        return None
    sandbox = reach.sandbox_of(home.root, container.record)
    descriptor = pidfd.open_verified(sandbox.supervisor) if sandbox else None
    if descriptor is not None:
        stack.callback(os.close, descriptor)
    return descriptor


def _past(known: Mapping[str, Container], since_ns: int, until_ns: int) -> Iterator[Event]:
    """What the records of today's containers tell of their past."""
    for one in known.values():
        record = one.record
        moments = [("create", one.created)]
        if record is not None:
            moments += [("start", record.started_at), ("die", record.finished_at)]
        for action, stamp in moments:
            at = wording.stamp_ns(stamp)
            if at >= since_ns and at and not (until_ns and at > until_ns):
                yield _event(one, action, at)


def between(before: Mapping[str, Container], after: Mapping[str, Container]) -> Iterator[Event]:
    """The events that lead from one snapshot to the other."""
    now = time.time_ns()
    for container_id in before.keys() - after.keys():
        one = before[container_id]
        if one.running:
            yield _event(one, "die", now)
        yield _event(one, "destroy", now)
    for container_id, new in after.items():
        old = before.get(container_id)
        if old is None:
            yield _event(new, "create", wording.stamp_ns(new.created) or now)
        for action in _steps(old, new):
            yield _event(new, action, _moment(new, action) or now)


def _steps(old: Container | None, new: Container) -> Iterator[str]:
    was = old.status if old else "created"
    again = _started(new) not in {"", _started(old)}
    if was in {"running", "paused"} and again:
        yield "die"
    if again:
        yield "start"
        was = "running"
    if was == "running" and new.status == "paused":
        yield "pause"
    if was == "paused" and new.status == "running":
        yield "unpause"
    if was in {"running", "paused"} and new.status == "exited":
        yield "die"


def _started(one: Container | None) -> str:
    return one.record.started_at if one and one.record else ""


def _moment(one: Container, action: str) -> int:
    record = one.record
    if record is None:
        return 0
    stamps = {"start": record.started_at, "die": record.finished_at}
    return wording.stamp_ns(stamps.get(action, ""))


def _event(one: Container, action: str, time_ns: int) -> Event:
    definition = one.definition
    return Event(
        time_ns=time_ns,
        action=action,
        id=one.id,
        name=one.name,
        image=definition.image or definition.rootfs if definition else "",
        exit_status=one.exit_status if one.status == "exited" else None,
        labels=definition.labels if definition else {},
    )
