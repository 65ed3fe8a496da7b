"""Messages as JSON: frozen dataclasses to bytes and back, driven by their type hints.

Decoding is total and bounded: whatever the other side sends becomes either a value of the
declared type or a `CodecError` that names the field. Shared with the guest.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, Final, TypeVar, cast

from enclos.errors import EnclosError

MAX_MESSAGE_BYTES: Final = 8 << 20
"""A spec with 10,000 variables and 64 KiB arguments is about 2 MB; four times that."""
MAX_ITEMS: Final = 100_000

T = TypeVar("T")


class CodecError(EnclosError):
    """A message that is not what its type says."""


def encode(value: object) -> bytes:
    """A dataclass instance as UTF-8 JSON; raises `CodecError` when over the size limit."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise CodecError(f"text that is no text: {error}") from error
    if len(data) > MAX_MESSAGE_BYTES:
        raise CodecError(f"message of {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    return data


def decode(kind: type[T], data: bytes) -> T:
    """The instance of `kind` that `data` spells; raises `CodecError` otherwise."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise CodecError(f"message of {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    try:
        raw = json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{kind.__name__}: not JSON: {error}") from error
    return cast(T, _typed(kind, raw, kind.__name__))


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, dict):
        members = cast("dict[object, object]", value)
        return {str(key): _plain(item) for key, item in members.items()}
    return value


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(kind: Any, raw: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _optional(kind, raw, where)
    if origin is tuple:
        return _tuple(kind, raw, where)
    if origin is dict:
        return _dict(kind, raw, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast("type[Any]", kind), raw, where)
    return _plain_value(cast("type[Any]", kind), raw, where)


def _plain_value(kind: type[Any], raw: Any, where: str) -> Any:
    """A string, number or truth value; a whole number will do for a float, a bool for nothing."""
    if isinstance(raw, bool) is (kind is bool) and isinstance(raw, kind):
        return _text(raw, where) if isinstance(raw, str) else raw
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        try:
            return float(raw)
        except OverflowError as error:
            raise CodecError(f"{where}: {error}") from error
    raise CodecError(f"{where}: {type(raw).__name__} instead of {kind.__name__}")


def _text(raw: str, where: str) -> str:
    r"""`raw` if it stands for bytes: an escape such as \ud800 could never be sent on."""
    if raw.isascii():
        return raw
    try:
        again = raw.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        again = ""
    if again != raw:
        raise CodecError(f"{where}: lone surrogates")
    return raw


def _optional(kind: Any, raw: Any, where: str) -> Any:
    if raw is None:
        return None
    inner = next(arg for arg in typing.get_args(kind) if arg is not type(None))
    return _typed(inner, raw, where)


def _tuple(kind: Any, raw: Any, where: str) -> Any:
    if not isinstance(raw, list):
        raise CodecError(f"{where}: {type(raw).__name__} instead of a list")
    items = cast("Sequence[Any]", raw)
    _check_count(len(items), where)
    inner = typing.get_args(kind)[0]
    return tuple(_typed(inner, item, f"{where}[{at}]") for at, item in enumerate(items))


def _dict(kind: Any, raw: Any, where: str) -> Any:
    members = _object(raw, where)
    inner = typing.get_args(kind)[1]
    return {
        _text(key, where): _typed(inner, item, f"{where}.{ascii(key)[1:-1]}")
        for key, item in members.items()
    }


def _dataclass(kind: type[Any], raw: Any, where: str) -> Any:
    members = _object(raw, where)
    hints = _hints(cast(Hashable, kind))
    unknown = members.keys() - hints.keys()
    if unknown:
        raise CodecError(f"{where}: unknown member {min(unknown)[:80]!r}")
    values = {name: _typed(hints[name], item, f"{where}.{name}") for name, item in members.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise CodecError(f"{where}: {error}") from error


def _object(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise CodecError(f"{where}: {type(raw).__name__} instead of an object")
    members = cast("dict[str, Any]", raw)
    _check_count(len(members), where)
    return members


def _check_count(count: int, where: str) -> None:
    if count > MAX_ITEMS:
        raise CodecError(f"{where}: {count} items are over {MAX_ITEMS}")
