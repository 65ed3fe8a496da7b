"""The undo ledger: recorded before, cleared after, replayed in reverse."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import Unclean
from enclos.state import ledger
from enclos.state.ledger import Fields, Ledger


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return ledger.of_sandbox(tmp_path)


class Releases:
    """Records what was released; `stuck` kinds refuse."""

    def __init__(self, *stuck: str) -> None:
        self.stuck = stuck
        self.seen: list[str] = []

    def __call__(self, fields: Fields) -> None:
        name = str(fields["name"])
        if name in self.stuck:
            raise OSError(16, f"{name} is busy")
        self.seen.append(name)


def test_an_empty_ledger_needs_no_directory(book: Ledger) -> None:
    assert book.entries() == book.replay({}) == []
    assert not book.directory.exists()


def test_entries_survive_and_are_released_newest_first(book: Ledger) -> None:
    for name in ("first", "second", "third"):
        book.record("thing", name=name)
    again = Ledger(book.directory)
    releases = Releases()
    done = again.replay({"thing": releases})
    assert releases.seen == ["third", "second", "first"]
    assert [entry.number for entry in done] == [3, 2, 1]
    assert again.entries() == []


def test_what_was_cleared_is_not_released(book: Ledger) -> None:
    first = book.record("thing", name="first")
    book.record("thing", name="second")
    book.clear(first)
    book.clear(first)
    releases = Releases()
    book.replay({"thing": releases})
    assert releases.seen == ["second"]


def test_numbers_go_on_after_a_clear(book: Ledger) -> None:
    book.clear(book.record("thing", name="a"))
    book.record("thing", name="b")
    book.record("thing", name="c")
    assert [entry.fields["name"] for entry in book.entries()] == ["b", "c"]


def test_two_who_record_at_once_do_not_overwrite_each_other(
    book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.record("thing", name="first")
    monkeypatch.setattr(ledger, "_numbers", lambda _: [])
    assert book.record("thing", name="second").number == 2
    monkeypatch.undo()
    assert [entry.fields["name"] for entry in book.entries()] == ["first", "second"]
    assert len(list(book.directory.iterdir())) == 2


def test_one_failure_does_not_keep_the_others(book: Ledger) -> None:
    for name in ("first", "stuck", "third"):
        book.record("thing", name=name)
    releases = Releases("stuck")
    with pytest.raises(Unclean, match="stuck is busy"):
        book.replay({"thing": releases})
    assert releases.seen == ["third", "first"]
    assert [entry.fields["name"] for entry in book.entries()] == ["stuck"]
    book.replay({"thing": Releases()})
    assert book.entries() == []


def test_a_kind_that_nobody_knows_is_named(book: Ledger) -> None:
    book.record("veth", name="v0")
    with pytest.raises(Unclean, match="'veth'"):
        book.replay({})
    assert len(book.entries()) == 1


def test_an_entry_that_lacks_a_field_is_named(book: Ledger) -> None:
    book.record("thing", other=3)
    with pytest.raises(Unclean, match="lacks 'name'"):
        book.replay({"thing": Releases()})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": 1}', '{"kind":"a","fields":{"b":[]}}'])
def test_a_damaged_entry_is_named_and_the_rest_released(book: Ledger, text: str) -> None:
    book.record("thing", name="first")
    entry = book.record("thing", name="damaged")
    path = book.directory / f"{entry.number:06d}.json"
    path.write_text(text)
    releases = Releases()
    with pytest.raises(Unclean, match=path.name):
        book.replay({"thing": releases})
    assert releases.seen == ["first"]
    with pytest.raises(Unclean, match=path.name):
        book.entries()


def test_holding_clears_at_the_end_only(book: Ledger) -> None:
    with book.holding("thing", name="a", size=3) as entry:
        assert book.entries() == [entry]
    assert book.entries() == []


def test_what_could_not_be_released_stays_recorded(book: Ledger) -> None:
    with pytest.raises(OSError, match="busy"), book.holding("thing", name="a"):
        raise OSError(16, "busy")
    assert len(book.entries()) == 1
