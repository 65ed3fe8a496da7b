"""Containers as docker lists them: status texts and filters."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from enclos.cli import changes, rows
from enclos.cli.lookup import LOST_STATUS, Container
from enclos.errors import InvalidRequest
from enclos.state.definitions import Definition
from enclos.state.records import ContainerRecord

DEFINITION = Definition(
    id="a" * 64, name="web", created="2024-01-01T00:00:00.000000000Z", rootfs_kind="image",
    args=("sh", "-c", "x"), image="docker.io/library/alpine:3", image_digest="sha256:1",
    labels={"tier": "front", "empty": ""},
)  # fmt: skip
RECORD = ContainerRecord("a" * 64, "a" * 64, "/b", "/r", DEFINITION.created)


def stamp(ago_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime(time.time() - ago_s))


RUNNING = Container("a" * 64, "running", DEFINITION, replace(RECORD, started_at=stamp(12_600)))
ENDED = Container(
    "a" * 64, "exited", DEFINITION, replace(RECORD, exit_status=7, finished_at=stamp(12_600))
)


def test_status_texts() -> None:
    assert rows.status_text(RUNNING) == "Up 3 hours"
    assert rows.status_text(replace(RUNNING, status="paused")) == "Up 3 hours (Paused)"
    assert rows.status_text(ENDED) == "Exited (7) 3 hours ago"
    assert rows.status_text(Container("a", "created", DEFINITION, None)) == "Created"
    lost = Container("a", "exited", DEFINITION, None)
    assert lost.exit_status == LOST_STATUS
    assert rows.status_text(lost) == f"Exited ({LOST_STATUS})"


def test_a_killed_supervisor_wrote_no_status() -> None:
    assert Container("a", "exited", DEFINITION, RECORD).exit_status == 137


@pytest.mark.parametrize(
    "text",
    ["id=aaa", "name=we", "label=tier", "label=tier=front", "label=empty", "status=running",
     "ancestor=docker.io/library/alpine", "ancestor=sha256:1"],
)  # fmt: skip
def test_filters_that_match(text: str) -> None:
    assert rows.matching([RUNNING], [text]) == [RUNNING]


@pytest.mark.parametrize(
    "text", ["id=b", "name=x", "label=tier=back", "label=no", "status=exited", "exited=0"]
)
def test_filters_that_do_not(text: str) -> None:
    assert rows.matching([RUNNING], [text]) == []


def test_filters_combine_as_dockers_do() -> None:
    both = [RUNNING, ENDED]
    assert rows.matching(both, ["status=running", "status=exited"]) == both
    assert rows.matching(both, ["status=exited", "name=web"]) == [ENDED]
    assert rows.matching(both, ["exited=7"]) == [ENDED]


@pytest.mark.parametrize("text", ["status", "size=1", "status=dead"])
def test_unknown_filters_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        rows.matching([], [text])


def actions(before: Container | None, after: Container | None) -> list[str]:
    old = {before.id: before} if before else {}
    new = {after.id: after} if after else {}
    return [event.action for event in changes.between(old, new)]


def test_events_are_what_lies_between_two_looks() -> None:
    created = Container("a" * 64, "created", DEFINITION, None)
    paused = replace(RUNNING, status="paused")
    again = replace(RUNNING, record=replace(RECORD, started_at=stamp(1)))
    assert actions(None, created) == ["create"]
    assert actions(created, RUNNING) == ["start"]
    assert actions(None, RUNNING) == ["create", "start"]
    assert actions(RUNNING, paused) == ["pause"]
    assert actions(paused, RUNNING) == ["unpause"]
    assert actions(RUNNING, ENDED) == ["die"]
    assert actions(RUNNING, again) == ["die", "start"]
    assert actions(ENDED, created) == []
    assert actions(RUNNING, None) == ["die", "destroy"]
    assert actions(ENDED, None) == ["destroy"]
    assert actions(RUNNING, RUNNING) == []
