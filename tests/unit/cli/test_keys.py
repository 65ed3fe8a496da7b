"""Detach keys: what is held back, what is passed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.cli import keys
from enclos.errors import InvalidRequest


def test_names_of_keys() -> None:
    assert keys.parse("ctrl-p,ctrl-q") == b"\x10\x11"
    assert keys.parse("a,ctrl-[,ctrl-@") == b"a\x1b\x00"
    assert keys.parse("") == b""


@pytest.mark.parametrize("text", ["ctrl-", "alt-x", "ctrl-pp", "é", ",", "ctrl-1"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        keys.parse(text)


def test_the_sequence_detaches_and_is_not_passed_on() -> None:
    watcher = keys.Watcher(b"\x10\x11")
    assert watcher.feed(b"ls\n\x10") == b"ls\n"
    assert watcher.feed(b"\x11") == b""
    assert watcher.detached


def test_half_of_it_is_passed_on_late() -> None:
    watcher = keys.Watcher(b"\x10\x11")
    assert watcher.feed(b"\x10") == b""
    assert watcher.feed(b"x") == b"\x10x"
    assert watcher.feed(b"\x10\x10\x11") == b"\x10"
    assert watcher.detached


@given(st.lists(st.binary(max_size=6), max_size=8))
def test_without_keys_everything_passes(pieces: list[bytes]) -> None:
    watcher = keys.Watcher(b"")
    assert b"".join(map(watcher.feed, pieces)) == b"".join(pieces)


@given(st.lists(st.sampled_from([b"a", b"\x10", b"\x10\x10", b"b\x10"]), max_size=12))
def test_nothing_is_lost(pieces: list[bytes]) -> None:
    watcher = keys.Watcher(b"\x10\x11")
    passed = b"".join(map(watcher.feed, pieces))
    assert passed + watcher.feed(b".") in {b"".join(pieces) + b".", b"".join([*pieces, b"."])}
