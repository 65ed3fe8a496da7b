"""Bytes as a peer might send them: valid ones made from the vocabulary, then bent at random."""

from __future__ import annotations

import dataclasses
import itertools
import random
import types
import typing
from typing import Any, Final

from enclos.wire import codec, frames
from enclos.wire.messages import EVENTS, METHODS, STREAM_WINDOW
from tests.support.messages import KINDS

_WORDS: Final = (
    "", "a", "container-1", "/bin/sh", "é", "\udcff", "{}", '{"args":["x"],"cwd":"/"}', "\n",
    "0" * 40,
)  # fmt: skip
_NUMBERS: Final = (0, 1, 2, 3, 7, 255, 2**31, 2**32 - 1, STREAM_WINDOW, -1, 10**30)
_EDGES: Final = (b"\0", b"\xff", b"\n", b'"', b"\\ud800", b"}", b"[", b"1e999", b"\xff\xff\xff\xff")


def value(dice: random.Random, hint: Any) -> Any:
    """Some value of a type hint."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return value(dice, dice.choice(arguments))
    if origin is tuple:
        return tuple(value(dice, arguments[0]) for _ in range(dice.randrange(4)))
    if origin is dict:
        return {dice.choice(_WORDS): value(dice, arguments[1]) for _ in range(dice.randrange(4))}
    if dataclasses.is_dataclass(hint):
        return message(dice, typing.cast("type[Any]", hint))
    plain = {str: dice.choice(_WORDS), int: dice.choice(_NUMBERS), bool: dice.random() < 0.5}
    return plain.get(hint)


def message(dice: random.Random, kind: type[Any]) -> Any:
    """Some message of this class."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: value(dice, hint) for name, hint in hints.items()})


def any_message(dice: random.Random) -> Any:
    """Some message of the vocabulary."""
    return message(dice, dice.choice(KINDS))


def from_host(dice: random.Random) -> bytes:
    """Frames such as the host sends."""
    name, (kind, _) = dice.choice(sorted(METHODS.items()))
    body = name.encode() + b"\n" + codec.encode(message(dice, kind))
    return _frames(dice, (frames.REQUEST, body))


def from_guest(dice: random.Random) -> bytes:
    """Frames such as the agent sends."""
    name, kind = dice.choice(sorted(EVENTS.items()))
    said = name.encode() + b"\n" + codec.encode(message(dice, kind))
    whole = (
        (frames.EVENT, said),
        (frames.REPLY, codec.encode(any_message(dice))),
        (frames.ERROR, codec.encode(any_message(dice))),
    )
    return _frames(dice, dice.choice(whole))


def _frames(dice: random.Random, whole: tuple[int, bytes]) -> bytes:
    number = dice.choice((1, 2, 3, 4, 2**32 - 1))
    choice = dice.randrange(5)
    if choice == 0:
        return frames.encode(frames.DATA, number, dice.randbytes(dice.choice((0, 1, 50, 32_756))))
    if choice == 1:
        return frames.encode(frames.CREDIT, number, dice.randbytes(dice.choice((0, 3, 4, 5))))
    if choice == 2:
        return frames.encode(dice.choice((frames.END, frames.RESET)), number)
    kind, body = whole
    if choice == 3:
        return frames.encode(kind, number, body[:30_000], frames.FLAG_MORE)
    return frames.encode_message(kind, number, body)


def bend(dice: random.Random, data: bytes) -> bytes:
    """`data` with up to three changes."""
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(data) + 1)
        until = min(len(data), at + dice.choice((0, 1, 1, 2, 4, 12, 100)))
        piece = dice.choice((b"", dice.choice(_EDGES), dice.randbytes(1), data[at:until] * 2))
        data = data[:at] + piece + data[until:]
    return data


def cut(dice: random.Random, data: bytes) -> list[bytes]:
    """`data` in random pieces."""
    edges = sorted({0, len(data), *(dice.randrange(len(data) + 1) for _ in range(5))})
    return [data[a:b] for a, b in itertools.pairwise(edges)]
