"""Definitions: names, ids, and what an interruption leaves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from enclos.errors import Exists, InvalidRequest, NotFound, Unclean
from enclos.ids import new_id
from enclos.plan.attachments import Attachment
from enclos.state import definitions
from enclos.state.definitions import Definition, Mount, Network


def define(name: str, identifier: str = "", created: str = "2026-01-01T00:00:00Z") -> Definition:
    return Definition(
        id=identifier or new_id(),
        name=name,
        created=created,
        rootfs_kind="image",
        args=("sleep", "9"),
        labels={"a": "b"},
        mounts=(Mount("bind", "/src", "/dst", ("ro",)),),
        cpus=1.5,
    )


def test_a_definition_is_found_by_name_id_and_prefix(tmp_path: Path) -> None:
    made = define("web")
    definitions.add(tmp_path, made)
    for reference in ("web", made.id, made.id[:12], made.id[:1]):
        assert definitions.lookup(tmp_path, reference) == made
    assert definitions.all_definitions(tmp_path) == [made]


@pytest.mark.parametrize("reference", ["", "nobody", "../names/web", "we", ".lock", "zz"])
def test_what_does_not_exist_is_not_found(tmp_path: Path, reference: str) -> None:
    with pytest.raises(NotFound, match="no such container"):
        definitions.lookup(tmp_path, reference)
    definitions.add(tmp_path, define("web"))
    with pytest.raises(NotFound, match="no such container"):
        definitions.lookup(tmp_path, reference)


def test_a_prefix_of_several_ids_is_ambiguous(tmp_path: Path) -> None:
    definitions.add(tmp_path, define("one", "abc1"))
    definitions.add(tmp_path, define("two", "abc2"))
    with pytest.raises(InvalidRequest, match="beginning of 2"):
        definitions.lookup(tmp_path, "abc")


def test_a_full_id_and_a_name_win_over_prefixes(tmp_path: Path) -> None:
    definitions.add(tmp_path, define("one", "abc"))
    definitions.add(tmp_path, define("two", "abcd"))
    definitions.add(tmp_path, define("ab", "f00"))
    assert definitions.lookup(tmp_path, "abc").name == "one"
    assert definitions.lookup(tmp_path, "ab").id == "f00"


def test_a_name_is_taken_once_and_free_after_removal(tmp_path: Path) -> None:
    first = define("web")
    definitions.add(tmp_path, first)
    with pytest.raises(Exists, match="already in use") as caught:
        definitions.add(tmp_path, define("web"))
    assert "rm web" in caught.value.hint
    assert definitions.ids(tmp_path) == [first.id]
    definitions.remove(tmp_path, first)
    definitions.remove(tmp_path, first)
    assert definitions.ids(tmp_path) == []
    definitions.add(tmp_path, define("web"))


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "a b", "x" * 300])
def test_a_bad_name_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest):
        definitions.add(tmp_path / "root", define(name))
    assert not (tmp_path / "root").exists()


def test_a_name_whose_container_vanished_can_be_taken(tmp_path: Path) -> None:
    first = define("web")
    definitions.add(tmp_path, first)
    (definitions.directory(tmp_path, first.id) / "definition.json").unlink()
    second = define("web")
    definitions.add(tmp_path, second)
    assert definitions.lookup(tmp_path, "web") == second
    assert definitions.purge_abandoned(tmp_path) == [first.id]
    assert definitions.ids(tmp_path) == [second.id]


def test_changing_and_renaming(tmp_path: Path) -> None:
    made = define("web")
    definitions.add(tmp_path, made)
    definitions.add(tmp_path, define("db"))
    changed = dataclasses.replace(made, name="www", memory_bytes=1 << 30)
    definitions.rename(tmp_path, made, changed)
    assert definitions.lookup(tmp_path, "www") == changed
    with pytest.raises(NotFound):
        definitions.lookup(tmp_path, "web")
    with pytest.raises(Exists):
        definitions.rename(tmp_path, changed, dataclasses.replace(changed, name="db"))


def test_a_damaged_definition_is_named(tmp_path: Path) -> None:
    made = define("web")
    definitions.add(tmp_path, made)
    path = definitions.directory(tmp_path, made.id) / "definition.json"
    path.write_text("{}")
    with pytest.raises(Unclean, match=r"definition\.json is damaged") as caught:
        definitions.lookup(tmp_path, "web")
    assert made.id[:12] in caught.value.hint


def test_listing_is_by_age(tmp_path: Path) -> None:
    for name, created in (("new", "2026-02"), ("old", "2026-01")):
        definitions.add(tmp_path, define(name, created=created))
    assert [found.name for found in definitions.all_definitions(tmp_path)] == ["old", "new"]


def test_networks_with_names_are_in_order() -> None:
    first, second = Attachment("a", ("10.1.1.1",), ("x",), "02:00:00:00:00:01"), Attachment("b")
    network = Network("network").joining((first, second))
    assert network.joined == (first, second)
    assert network.joining((second,)).joined == (second,)
    assert network.joining(()).joined == ()
    assert Network("bridge").joined == ()
