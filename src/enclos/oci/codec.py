"""JSON of the runtime specification to frozen dataclasses and back, driven by their type hints.

Decoding is total: any JSON value becomes an instance or an `InvalidRequest` that names the
member as people write it (`config.json: process.args[2]: number instead of string`). As Go's
decoder does, it takes null for "not given". Members a class does not declare are kept in its
`extra` and written out again, so that what is newer than this program reaches the guest.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from enclos.errors import InvalidRequest
from enclos.structs import dataclass

JsonObject: TypeAlias = dict[str, Any]
"""Members nobody here looks into."""

MAX_ITEMS: Final = 100_000
MAX_TEXT: Final = 4 << 20

_T = TypeVar("_T")
_schemas: dict[type, dict[str, tuple[str, Any]]] = {}
_UPPER: Final = frozenset({"id", "io", "iops", "oom", "tcp", "cmt", "mbm", "cpu"})
_NAMES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of an integer member."""

    least: int
    greatest: int


@dataclass(frozen=True, slots=True)
class Extensible:
    """Base of what the specification lets anybody extend: unknown members, as they came."""

    extra: JsonObject = dataclasses.field(default_factory=dict[str, Any], kw_only=True)


U16 = Annotated[int, Bounds(0, 2**16 - 1)]
I32 = Annotated[int, Bounds(-(2**31), 2**31 - 1)]
U32 = Annotated[int, Bounds(0, 2**32 - 1)]
I64 = Annotated[int, Bounds(-(2**63), 2**63 - 1)]
U64 = Annotated[int, Bounds(0, 2**64 - 1)]


def decode(kind: type[_T], raw: object, *, file: str) -> _T:
    """The instance of `kind` that `raw` spells; raises `InvalidRequest` naming `file`."""
    try:
        return typing.cast(_T, _typed(kind, raw, ""))
    except _Mismatch as mismatch:
        where = f"{file}: {mismatch.where}" if mismatch.where else file
        raise InvalidRequest(
            f"{where}: {mismatch.found}", hint="see the OCI runtime specification for its form"
        ) from mismatch


def encode(value: object) -> Any:
    """A dataclass instance as JSON values; empty members are left out."""
    if isinstance(value, Extensible):
        return _members(value)
    if isinstance(value, tuple):
        return [encode(item) for item in typing.cast("tuple[object, ...]", value)]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in typing.cast(JsonObject, value).items()}
    return value


def _members(value: Extensible) -> JsonObject:
    out: JsonObject = {}
    for attribute, (name, _) in schema(type(value)).items():
        item = getattr(value, attribute)
        if item is not None and item != () and item != {} and item != "":
            out[name] = encode(item)
    return {**out, **value.extra}


class _Mismatch(Exception):
    def __init__(self, where: str, found: str) -> None:
        super().__init__(where, found)
        self.where: Final = where
        self.found: Final = found


def schema(kind: type[Extensible]) -> dict[str, tuple[str, Any]]:
    """Attribute to JSON name and type; `extra` is no member."""
    if kind not in _schemas:
        hints = typing.get_type_hints(kind, include_extras=True)
        del hints["extra"]
        names = {attribute: (_json_name(attribute), hint) for attribute, hint in hints.items()}
        _schemas[kind] = names
    return _schemas[kind]


def _json_name(attribute: str) -> str:
    """camelCase with the specification's habit of writing ID, IO, OOM and TCP large."""
    first, *rest = attribute.split("_")
    return first + "".join(word.upper() if word in _UPPER else word.capitalize() for word in rest)


def _typed(kind: Any, raw: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is types.UnionType or origin is typing.Union:
        return None if raw is None else _typed(_inner(kind), raw, where)
    if origin is Annotated:
        return _integer(raw, where, bounds=kind.__metadata__[0])
    if origin is tuple:
        return _tuple(kind, raw, where)
    if origin is dict:
        return _dict(kind, raw, where)
    if kind in _NAMES:
        return _plain(kind, raw, where)
    return _object_of(typing.cast("type[Extensible]", kind), raw, where)


def _inner(kind: Any) -> Any:
    return next(arg for arg in typing.get_args(kind) if arg is not type(None))


def _plain(kind: Any, raw: Any, where: str) -> Any:
    if type(raw) is not kind:
        raise _Mismatch(where, f"{_name(raw)} instead of {_NAMES[kind]}")
    if kind is str and len(raw) > MAX_TEXT:
        raise _Mismatch(where, f"string of {len(raw)} characters is too long")
    return raw


def _integer(raw: Any, where: str, *, bounds: Bounds) -> int:
    if type(raw) is not int:
        found = f"{raw!r} instead of an integer" if type(raw) is float else ""
        raise _Mismatch(where, found or f"{_name(raw)} instead of number")
    if not bounds.least <= raw <= bounds.greatest:
        raise _Mismatch(where, f"{raw} is not between {bounds.least} and {bounds.greatest}")
    return raw


def _tuple(kind: Any, raw: Any, where: str) -> tuple[Any, ...]:
    if _name(raw) != "array":
        raise _Mismatch(where, f"{_name(raw)} instead of array")
    items: list[Any] = raw
    if len(items) > MAX_ITEMS:
        raise _Mismatch(where, f"{len(items)} items are more than {MAX_ITEMS}")
    inner = typing.get_args(kind)[0]
    return tuple(_typed(inner, item, f"{where}[{at}]") for at, item in enumerate(items))


def _dict(kind: Any, raw: Any, where: str) -> JsonObject:
    members = _object(raw, where)
    inner = typing.get_args(kind)[1]
    return {key: _typed(inner, item, f"{where}[{key[:80]!r}]") for key, item in members.items()}


def _object_of(kind: type[Extensible], raw: Any, where: str) -> Extensible:
    given = {name: item for name, item in _object(raw, where).items() if item is not None}
    prefix = f"{where}." if where else ""
    values: JsonObject = {}
    for attribute, (name, hint) in schema(kind).items():
        if name in given:
            values[attribute] = _typed(hint, given.pop(name), f"{prefix}{name}")
    if given:
        values["extra"] = given
    return kind(**values)


def _object(raw: Any, where: str) -> JsonObject:
    if _name(raw) != "object":
        raise _Mismatch(where, f"{_name(raw)} instead of object")
    members: JsonObject = raw
    if len(members) > MAX_ITEMS:
        raise _Mismatch(where, f"{len(members)} members are more than {MAX_ITEMS}")
    return members


def _name(raw: object) -> str:
    return _NAMES.get(type(raw), "something else")
