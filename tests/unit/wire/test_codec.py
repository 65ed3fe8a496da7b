"""Messages to JSON and back: exact both ways, and nothing a peer says can break the reader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enclos.wire import codec
from enclos.wire.codec import CodecError
from enclos.wire.messages import CreateContainer, Exited, Hello, Nothing, Process, Processes, Stdio
from tests.support import messages


@dataclass(frozen=True, slots=True)
class Sample:
    """One member of every shape that hints may have."""

    text: str
    number: int = 0
    truth: bool = False
    ratio: float = 0.0
    maybe: int | None = None
    several: tuple[str, ...] = ()
    table: dict[str, int] | None = None


@given(messages.any_message())
def test_every_message_survives_the_way(message: Any) -> None:
    assert codec.decode(type(message), codec.encode(message)) == message


@given(messages.of(Processes))
def test_nested_messages_are_typed_again(message: Processes) -> None:
    again = codec.decode(Processes, codec.encode(message))
    assert all(type(row) is Process for row in again.rows)


@given(st.sampled_from(messages.KINDS), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(kind: type[Any], data: bytes) -> None:
    survives(kind, data)


@given(st.sampled_from(messages.KINDS), messages.JSON)
def test_any_json_is_a_message_or_an_error(kind: type[Any], value: Any) -> None:
    survives(kind, json.dumps(value).encode())


@given(messages.any_message(), st.data())
def test_a_bent_message_is_a_message_or_an_error(message: Any, data: st.DataObject) -> None:
    raw = json.loads(codec.encode(message).decode("utf-8", "surrogateescape"))
    raw[data.draw(st.sampled_from([*raw, "other"]))] = data.draw(messages.JSON)
    survives(type(message), json.dumps(raw).encode())


@given(st.text(alphabet=st.characters(categories=["Cs"]), min_size=1, max_size=3))
@example("\ud800")
@example("\udcff")
def test_what_was_decoded_can_be_encoded(text: str) -> None:
    survives(Sample, json.dumps({"text": text}).encode())
    survives(Sample, json.dumps({"text": "", "table": {text: 1}}).encode())


def survives(kind: type[Any], data: bytes) -> None:
    """Decoding gives a message that can go on its way, or a CodecError."""
    try:
        message = codec.decode(kind, data)
    except CodecError:
        return
    assert codec.decode(kind, codec.encode(message)) == message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "Sample: list instead of an object"),
        (b"null", "instead of an object"),
        (b"{}", "text"),
        (b'{"text":1}', "Sample.text: int instead of str"),
        (b'{"text":"","number":true}', "Sample.number: bool instead of int"),
        (b'{"text":"","number":1.5}', "Sample.number: float instead of int"),
        (b'{"text":"","ratio":1' + b"0" * 400 + b"}", "Sample.ratio"),
        (b'{"text":"","truth":1}', "Sample.truth: int instead of bool"),
        (b'{"text":"","several":"abc"}', "Sample.several"),
        (b'{"text":"","several":["a",1]}', r"Sample.several\[1\]: int instead of str"),
        (b'{"text":"","table":{"k":"v"}}', "Sample.table.k: str instead of int"),
        (b'{"text":"","other":1}', "unknown member 'other'"),
        (b'{"text":"\\ud800"}', "Sample.text"),
    ],
)
def test_the_error_names_the_place(data: bytes, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        codec.decode(Sample, data)


def test_a_whole_number_will_do_for_a_float() -> None:
    assert codec.decode(Sample, b'{"text":"","ratio":2}').ratio == 2.0


def test_defaults_fill_what_is_not_said() -> None:
    assert codec.decode(Stdio, b"{}") == Stdio()
    assert codec.decode(Nothing, b"{}") == Nothing()


def test_long_messages_are_refused_both_ways() -> None:
    long = CreateContainer("c", "x" * codec.MAX_MESSAGE_BYTES, Stdio())
    with pytest.raises(CodecError, match="is over 8388608"):
        codec.encode(long)
    with pytest.raises(CodecError, match="is over 8388608"):
        codec.decode(Hello, b" " * (codec.MAX_MESSAGE_BYTES + 1))


def test_long_lists_are_refused() -> None:
    items = json.dumps({"text": "", "several": ["a"] * (codec.MAX_ITEMS + 1)}).encode()
    with pytest.raises(CodecError, match="100000"):
        codec.decode(Sample, items)


def test_a_large_spec_fits() -> None:
    variables = [f"VARIABLE_{number}={'x' * 100}" for number in range(10_000)]
    spec = json.dumps({"process": {"args": ["y" * 65536], "env": variables}})
    message = CreateContainer("c", spec, Stdio())
    assert codec.decode(CreateContainer, codec.encode(message)) == message


def test_numbers_keep_their_size() -> None:
    event = Exited("c", "", 137, 2**63)
    assert codec.decode(Exited, codec.encode(event)) == event
