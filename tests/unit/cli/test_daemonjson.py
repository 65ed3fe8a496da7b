"""dockerd's configuration gets our runtimes and loses them again, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.cli import daemonjson
from enclos.errors import InvalidRequest

PROGRAM = "/usr/local/bin/enclos-oci"
OURS = {name: {"path": PROGRAM} for name in daemonjson.NAMES}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
documents = st.dictionaries(st.text(max_size=8).filter(lambda name: name != "runtimes"), values)
runtimes = st.none() | st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in daemonjson.NAMES),
    st.fixed_dictionaries({"path": st.text(max_size=8)}), max_size=3,
)  # fmt: skip
layouts = st.sampled_from([None, 1, 4, "\t"])


@given(documents, runtimes, layouts, st.sampled_from(["", "\n", " \n"]))
def test_everything_comes_back_to_the_byte(
    document: dict[str, Any], others: dict[str, Any] | None, layout: Any, end: str
) -> None:
    if others is not None:
        document = {**document, "runtimes": others}
    before = json.dumps(document, indent=layout) + end
    after = daemonjson.register(before, PROGRAM)
    assert json.loads(after) == {**document, "runtimes": {**(others or {}), **OURS}}
    assert daemonjson.register(after, PROGRAM) == after
    assert daemonjson.unregister(after) == before


@pytest.mark.parametrize("before", ["", "\n", "{}", "{ }\n", '{"runtimes": {}}'])
def test_hardly_anything_comes_back_too(before: str) -> None:
    after = daemonjson.register(before, PROGRAM)
    assert json.loads(after) == {"runtimes": OURS}
    assert daemonjson.unregister(after) == before


def test_what_was_added_beside_them_stays() -> None:
    text = daemonjson.register('{"debug": true}', PROGRAM)
    grown = json.loads(text)
    grown["runtimes"]["other"] = {"path": "/bin/other"}
    left = daemonjson.unregister(json.dumps(grown, indent=2))
    assert json.loads(left) == {"debug": True, "runtimes": {"other": {"path": "/bin/other"}}}


def test_a_program_that_moved_is_found_again() -> None:
    text = daemonjson.register('{"debug": true}', "/opt/bin/enclos-oci")
    moved = daemonjson.register(text, PROGRAM)
    assert json.loads(moved)["runtimes"] == OURS
    assert daemonjson.unregister(moved) == '{"debug": true}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ('{"debug": true,}', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "no JSON object"),
        ('{"runtimes": []}', "runtimes is no JSON object"),
        ('{"runtimes": {"enclos": {"path": "/x/enclos-oci", "runtimeArgs": []}}}', "already"),
        ('{"runtimes": {"enclos": 5}}', "already"),
    ],
)  # fmt: skip
def test_what_dockerd_would_not_read_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        daemonjson.register(text, PROGRAM)
    assert caught.value.hint
