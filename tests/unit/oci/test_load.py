from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.oci import codec, load
from enclos.oci.resources import Memory, Resources
from enclos.oci.types import Process, Spec
from tests.support import specs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


def contains(whole: Any, part: Any) -> bool:
    """Whether `whole` has everything that `part` has; members that only say "no" may come."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        pairs = zip(whole, part, strict=False)
        return len(whole) == len(part) and all(contains(a, b) for a, b in pairs)
    return bool(whole == part)


def complaint(text: bytes | str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        load.load_spec(text)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("make", [specs.minimal, specs.runc, specs.podman])
def test_what_engines_write_survives(make: Any) -> None:
    document = make()
    assert contains(json.loads(load.dump_spec(load.load_spec(json.dumps(document)))), document)


def test_names_are_the_specifications() -> None:
    members = {
        name
        for kind in codec.Extensible.__subclasses__()
        for name, _ in codec.schema(kind).values()
    }
    odd = (
        "containerID closID classID blockIO throttleReadIOPSDevice kernelTCP disableOOMKiller "
        "oomScoreAdj ioPriority execCPUAffinity enableCMT enableMBM l3CacheSchema uidMappings "
        "additionalGids noNewPrivileges class throttleReadBpsDevice hcaHandles"
    )
    assert set(odd.split()) <= members


def test_unknown_members_are_kept() -> None:
    document = specs.put(specs.minimal(), "process.newMember", {"a": [1]})
    document = specs.put(document, "newSection", {"b": None})
    assert contains(json.loads(load.dump_spec(load.load_spec(json.dumps(document)))), document)


def test_null_is_not_given() -> None:
    document = specs.put(specs.minimal(), "process.oomScoreAdj", None)
    document = specs.put(document, "mounts", None)
    assert load.load_spec(json.dumps(document)) == load.load_spec(json.dumps(specs.minimal()))


def test_zero_and_false_are_kept() -> None:
    resources = load.load_resources('{"memory":{"limit":0,"disableOOMKiller":false}}')
    assert resources == Resources(memory=Memory(limit=0, disable_oom_killer=False))
    assert json.loads(load.dump_resources(resources)) == {
        "memory": {"limit": 0, "disableOOMKiller": False}
    }


def test_a_process_stands_alone() -> None:
    process = load.load_process(b'{"args":["a"],"cwd":"/","terminal":true}')
    assert process == Process(terminal=True, args=("a",), cwd="/")
    assert load.load_process(load.dump_process(process)) == process


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("process.args.0", 3, "process.args[0]: number instead of string"),
        ("process.terminal", 1, "process.terminal: number instead of boolean"),
        ("process.user.uid", -1, "process.user.uid: -1 is not between 0 and 4294967295"),
        ("process.user.uid", True, "process.user.uid: boolean instead of number"),
        ("process.user.uid", 1.0, "process.user.uid: 1.0 instead of an integer"),
        ("process", [], "process: array instead of object"),
        ("mounts", {}, "mounts: object instead of array"),
        ("linux.sysctl", {"a": 1}, "linux.sysctl['a']: number instead of string"),
        (
            "linux.resources.memory.limit",
            2**63,
            "linux.resources.memory.limit: 9223372036854775808",
        ),
    ],
)
def test_a_wrong_type_is_named_by_its_path(path: str, value: Any, found: str) -> None:
    document = json.dumps(specs.put(specs.minimal(), path, value))
    assert complaint(document).startswith(f"config.json: {found}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "not valid JSON"),
        ("[]", "array instead of object"),
        ("{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ("[" * 100_000, "too deeply nested"),
        ("1" * 6000, "not valid JSON"),
        ("NaN", "NaN is no number"),
        ('{"a": 1e999}', "too large"),
        (r'{"a": "\ud800"}', "not valid JSON"),
        (r'{"a": ["\u0000"]}', "NUL"),
        (r'{"\u0000": 1}', "NUL"),
        (b" " * (load.MAX_BYTES + 1), "more than"),
    ],
)
def test_what_is_no_json_is_refused(text: bytes | str, found: str) -> None:
    assert found in complaint(text)


def test_lists_are_bounded() -> None:
    document = specs.put(specs.minimal(), "process.env", ["A=1"] * (codec.MAX_ITEMS + 1))
    assert "items are more than" in complaint(json.dumps(document))


def test_the_file_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"^/b/x\.json: array instead of object"):
        load.load_process("[]", file="/b/x.json")


@given(st.binary(max_size=64) | JSON.map(json.dumps))
def test_loading_is_total(text: bytes | str) -> None:
    try:
        found = load.load_spec(text)
    except InvalidRequest:
        return
    assert isinstance(found, Spec)
    assert load.load_spec(load.dump_spec(found)) == found


def instances(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type hint of the specification's classes."""
    origin = typing.get_origin(kind)
    if origin is types.UnionType or origin is typing.Union:
        return st.none() | instances(
            next(a for a in typing.get_args(kind) if a is not types.NoneType)
        )
    if origin is Annotated:
        bounds = kind.__metadata__[0]
        return st.integers(bounds.least, bounds.greatest)
    if origin is tuple:
        return st.lists(instances(typing.get_args(kind)[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, instances(typing.get_args(kind)[1]), max_size=2)
    if dataclasses.is_dataclass(kind):
        members = {name: instances(hint) for name, (_, hint) in codec.schema(kind).items()}  # type: ignore[arg-type]
        return st.builds(kind, **members)  # type: ignore[arg-type]
    return st.booleans() if kind is bool else TEXT


@given(instances(Spec))
def test_every_spec_survives_writing(spec: Spec) -> None:
    assert load.load_spec(load.dump_spec(spec)) == spec
