from __future__ import annotations

import pytest

from enclos.errors import EnclosError, InvalidRequest, NotFound
from enclos.storage.copyplan import CopyPlan, Operand, base_name, normal, plan_copy

FILE, DIRECTORY, MISSING = (True, False), (True, True), (False, False)


@pytest.mark.parametrize(
    ("source", "what", "target", "there", "directory", "name"),
    [
        ("/a/f", FILE, "/d", DIRECTORY, "/d", "f"),
        ("/a/f", FILE, "/d/", DIRECTORY, "/d", "f"),
        ("/a/f", FILE, "/d/g", FILE, "/d", "g"),
        ("/a/f", FILE, "/d/g", MISSING, "/d", "g"),
        ("/a/s", DIRECTORY, "/d", DIRECTORY, "/d", "s"),
        ("/a/s/", DIRECTORY, "/d", DIRECTORY, "/d", "s"),
        ("/a/s/.", DIRECTORY, "/d", DIRECTORY, "/d", "."),
        ("/a/s", DIRECTORY, "/d/n", MISSING, "/d", "n"),
        ("/a/s", DIRECTORY, "/d/n/", MISSING, "/d", "n"),
        ("/a/s/.", DIRECTORY, "/d/n", MISSING, "/d", "n"),
        ("/", DIRECTORY, "/d", DIRECTORY, "/d", "."),
    ],
)
def test_dockers_table(
    source: str,
    what: tuple[bool, bool],
    target: str,
    there: tuple[bool, bool],
    directory: str,
    name: str,
) -> None:
    plan = plan_copy(Operand(source, *what), Operand(target, *there))
    assert plan == CopyPlan(directory, name)


@pytest.mark.parametrize(
    ("source", "what", "target", "there", "error"),
    [
        ("/a", MISSING, "/d", DIRECTORY, NotFound),
        ("/a/", FILE, "/d", DIRECTORY, InvalidRequest),
        ("/a/.", FILE, "/d", DIRECTORY, InvalidRequest),
        ("/a", DIRECTORY, "/f", FILE, InvalidRequest),
        ("/a", FILE, "/f/", FILE, InvalidRequest),
        ("/a", FILE, "/d/", MISSING, NotFound),
    ],
)
def test_refusals(
    source: str,
    what: tuple[bool, bool],
    target: str,
    there: tuple[bool, bool],
    error: type[EnclosError],
) -> None:
    with pytest.raises(error):
        plan_copy(Operand(source, *what), Operand(target, *there))


def test_paths_are_normal() -> None:
    assert normal("a/../b//c/.") == "/b/c"
    assert normal("//a") == "/a"
    assert normal("../../x") == "/x"
    assert (base_name("a/b/"), base_name("a/."), base_name(".")) == ("b", ".", ".")
