"""Rows about what a network adds to a warm start: the same start with one and without, in turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.perf import bundle, callees, commands
from tests.perf.series import Group, Missing, Row
from tests.perf.subject import IMAGE, Subject
from tests.support import bridges

NONE: Final = "enclos run, warm, no network"
PRIVATE: Final = "enclos run, warm, a private network"
ALONE: Final = "enclos-oci run, warm, no network"
BRIDGED: Final = "enclos-oci run, warm, on a bridge"


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("network-starts", 10, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    run = [subject.enclos, "run", "--rm", "--network"]
    alone = bundle.make(subject.assets, subject.scratch / "netless", ["/bin/true"])
    with bridges.new() as bridge:
        joined = bundle.make(subject.assets, subject.scratch / "bridged", ["/bin/true"])
        callees.join(joined / "config.json", bridge.member().netns.path)
        yield [
            commands.row(NONE, [*run, "none", IMAGE, "true"]),
            commands.row(PRIVATE, [*run, "bridge", IMAGE, "true"]),
            commands.row(ALONE, [subject.enclos_oci, "run", "perf-netless"], cwd=alone),
            commands.row(BRIDGED, [subject.enclos_oci, "run", "perf-bridged"], cwd=joined),
        ]
