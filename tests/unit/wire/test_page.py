"""docs/protocol.md is about this code: its vocabulary, its example, its bounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from enclos.wire import codec, frames
from enclos.wire.messages import EVENTS, METHODS, STREAM_WINDOW, Nothing

PAGE: Final = (Path(__file__).parents[3] / "docs/protocol.md").read_text()
KINDS: Final = ("REQUEST", "REPLY", "ERROR", "EVENT", "DATA", "END", "CREDIT", "RESET")


def part(title: str) -> str:
    """The text below a heading up to the next one."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows below its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_method_is_on_the_page_with_its_messages() -> None:
    told: dict[str, tuple[str, str]] = {}
    for methods, message, reply, _ in rows(part("Requests")):
        for name in re.findall(r"`(\w+)`", methods):
            told[name] = (message.strip("`"), reply.strip("`"))
    assert told == {name: (a.__name__, b.__name__) for name, (a, b) in METHODS.items()}


def test_every_event_is_on_the_page_with_its_message() -> None:
    told = {name.strip("`"): kind.strip("`") for name, kind, _ in rows(part("Events"))}
    assert told == {name: kind.__name__ for name, kind in EVENTS.items()}


def test_the_kinds_are_on_the_page() -> None:
    told = re.findall(r"^\| (\d) \| ([A-Z]+) \|", PAGE, re.MULTILINE)
    assert [(int(number), name) for number, name in told] == [
        (getattr(frames, name), name) for name in KINDS
    ]


def test_the_example_is_what_is_sent() -> None:
    shown = re.findall(r"^((?:[0-9a-f]{2} +)+[0-9a-f]{2})$", PAGE, re.MULTILINE)
    body = b"hello\n" + codec.encode(Nothing())
    assert [bytes.fromhex(line) for line in shown] == [frames.encode(frames.REQUEST, 2, body)]


def test_the_bounds_are_on_the_page() -> None:
    for bound in (frames.MAX_PAYLOAD, STREAM_WINDOW, codec.MAX_ITEMS):
        assert f"{bound:,}" in PAGE
    assert f"{codec.MAX_MESSAGE_BYTES >> 20} MiB" in PAGE
