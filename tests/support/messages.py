"""Hypothesis strategies for every message of the wire, made from the type hints themselves."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Final

from hypothesis import strategies as st

from enclos.wire.messages import EVENTS, METHODS, Failure

KINDS: Final[tuple[type[Any], ...]] = tuple(
    dict.fromkeys(
        [*(kind for pair in METHODS.values() for kind in pair), *EVENTS.values(), Failure]
    )
)
"""Every dataclass that crosses the agent's port."""

RAW: Final = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
"""Text as it comes from file names and arguments: any bytes."""
TEXT: Final = st.one_of(st.text(max_size=20), RAW)

JSON: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type hint, as `wire/codec` understands hints."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(of(one) for one in arguments))
    if origin is tuple:
        return st.lists(of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, of(arguments[1]), max_size=3)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(typing.cast("type[Any]", hint), **{k: of(v) for k, v in hints.items()})
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT, int: st.integers(), bool: st.booleans(), type(None): st.none(),
    }  # fmt: skip
    return plain[hint]


def any_message() -> st.SearchStrategy[Any]:
    """Any message of the vocabulary."""
    return st.one_of(*(of(kind) for kind in KINDS))
