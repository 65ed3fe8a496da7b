"""The blocks of a tar archive as values. PURE: bytes in, `Header` and `Entry` out.

Every function raises `ValueError` with a short reason for a malformed block; the reader adds
the archive's name. Layouts are those of POSIX.1-2001, GNU tar's manual and Go's archive/tar.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Final

from enclos.structs import dataclass

BLOCK_BYTES: Final = 512
_MAX_SIZE_BYTES: Final = 1 << 62
_XATTR: Final = "SCHILY.xattr."
_SPECIAL: Final = b"xgXLK"
_NO_DATA: Final = frozenset(b"123456")
_MAX_EXTENTS: Final = 1 << 16
_NO_ID: Final = (1 << 32) - 1
_DECIMAL = re.compile(rb"-?[0-9]{1,20}(?:\.[0-9]*)?")

Extents = tuple[tuple[int, int], ...]


class Kind(StrEnum):
    """What an entry makes."""

    FILE = "file"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"
    CHARACTER = "character device"
    BLOCK = "block device"
    DIRECTORY = "directory"
    FIFO = "fifo"


_KINDS: Final = {
    b"\0": Kind.FILE,
    b"0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header block; `size_bytes` is of the data that follows in the archive."""

    kind: bytes
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_s: int
    major: int
    minor: int
    block: bytes

    @property
    def is_special(self) -> bool:
        """Whether this header only says something about the next one."""
        return self.kind in _SPECIAL


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive.

    `size_bytes` counts the bytes stored in the archive, `length_bytes` those of the file.
    `extents` are (offset, length) pairs of the stored bytes of a sparse file, else `None`.
    """

    name: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size_bytes: int
    length_bytes: int
    mtime_ns: int
    link: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    extents: Extents | None = None


def parse(block: bytes) -> Header:
    """The header in one block of 512 bytes."""
    _check_sum(block)
    posix = block[257:263] == b"ustar\0"
    name = _text(block[:100])
    if posix and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    kind = block[156:157]
    size = _number(block[124:136])
    devices = posix or block[257:263] == b"ustar "
    return Header(
        kind=kind,
        name=name,
        link=_text(block[157:257]),
        mode=_number(block[100:108]),
        uid=_number(block[108:116]),
        gid=_number(block[116:124]),
        size_bytes=_checked_size(0 if kind[0] in _NO_DATA else size),
        mtime_s=_number(block[136:148]),
        major=_number(block[329:337]) if devices else 0,
        minor=_number(block[337:345]) if devices else 0,
        block=block,
    )


def special(header: Header, data: bytes) -> dict[str, bytes]:
    """What the data of a special header says about the next entry, as PAX fields."""
    if header.kind == b"L":
        return {"path": _text(data)}
    if header.kind == b"K":
        return {"linkpath": _text(data)}
    if header.kind == b"g":
        return {}  # global headers carry comments; docker ignores them as well
    return _records(data)


def entry(header: Header, pax: Mapping[str, bytes]) -> Entry:
    """The entry that a header and the fields collected before it describe."""
    if header.kind not in _KINDS:
        raise ValueError(f"an entry of unknown type {header.kind!r}")
    name = pax.get("GNU.sparse.name") or pax.get("path") or header.name
    kind = _KINDS[header.kind]
    if kind is Kind.FILE and name.endswith(b"/"):
        kind = Kind.DIRECTORY
    size = _size(header, pax)
    return Entry(
        name=os.fsdecode(name),
        kind=kind,
        mode=header.mode & 0o7777,
        uid=_id(pax.get("uid"), header.uid),
        gid=_id(pax.get("gid"), header.gid),
        size_bytes=size,
        length_bytes=_length(header, pax, size),
        mtime_ns=_time_ns(pax.get("mtime"), header.mtime_s),
        link=os.fsdecode(pax.get("linkpath") or header.link),
        device=(header.major, header.minor),
        xattrs={k.removeprefix(_XATTR): v for k, v in pax.items() if k.startswith(_XATTR)},
        extents=_sparse_map(pax),
    )


def has_inline_map(pax: Mapping[str, bytes]) -> bool:
    """Whether the data begins with the map of a sparse file (PAX sparse format 1.0)."""
    return pax.get("GNU.sparse.major") == b"1" and pax.get("GNU.sparse.minor") == b"0"


def with_extents(item: Entry, extents: Extents | None) -> Entry:
    """The same entry with its sparse map."""
    return replace(item, extents=extents)


def sparse_in_header(header: Header) -> tuple[Extents, bool]:
    """The first four extents of GNU's old format, and whether more blocks follow."""
    return _pairs(header.block[386:482]), header.block[482] != 0


def sparse_in_block(block: bytes) -> tuple[Extents, bool]:
    """Up to 21 further extents, and whether more blocks follow."""
    return _pairs(block[:504]), block[504] != 0


def _pairs(data: bytes) -> Extents:
    found: list[tuple[int, int]] = []
    for at in range(0, len(data), 24):
        if data[at] == 0:
            break
        found.append((_number(data[at : at + 12]), _number(data[at + 12 : at + 24])))
    return tuple(found)


def _sparse_map(pax: Mapping[str, bytes]) -> Extents | None:
    text = pax.get("GNU.sparse.map")
    if text is None:
        return None
    numbers = text.split(b",") if text else []
    if len(numbers) % 2 or len(numbers) > 2 * _MAX_EXTENTS:
        raise ValueError("a sparse map of odd or excessive length")
    values = [_decimal(number) for number in numbers]
    return tuple(zip(values[::2], values[1::2], strict=True))


def _length(header: Header, pax: Mapping[str, bytes], size: int) -> int:
    """Bytes of the file once unpacked; a sparse one says so itself."""
    text = pax.get("GNU.sparse.realsize") or pax.get("GNU.sparse.size")
    if text is not None:
        return _checked_size(_decimal(text))
    if header.kind == b"S":
        return _checked_size(_number(header.block[483:495]))
    return size


def _size(header: Header, pax: Mapping[str, bytes]) -> int:
    if header.kind[0] in _NO_DATA or "size" not in pax:
        return header.size_bytes
    return _checked_size(_decimal(pax["size"]))


def _records(data: bytes) -> dict[str, bytes]:
    """PAX records: `LENGTH KEY=VALUE\\n`; 0.0's repeated sparse fields become a map."""
    found: dict[str, bytes] = {}
    pieces: list[bytes] = []
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 12)
        length = _decimal(data[at:space]) if space > 0 else 0
        record = data[space + 1 : at + length - 1]
        key, equals, value = record.partition(b"=")
        if not equals or length <= 0 or data[at + length - 1 : at + length] != b"\n":
            raise ValueError("a malformed PAX record")
        if key in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
            pieces.append(value)
        found[os.fsdecode(key)] = value
        at += length
    return found | {"GNU.sparse.map": b",".join(pieces)} if pieces else found


def _decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", text):
        raise ValueError(f"{text[:24]!r} is no number")
    return int(text)


def _id(text: bytes | None, fallback: int) -> int:
    value = fallback if text is None else _decimal(text)
    if not 0 <= value < _NO_ID:
        raise ValueError(f"a user or group id of {value}")
    return value


def _time_ns(text: bytes | None, fallback_s: int) -> int:
    if text is None:
        return fallback_s * 10**9
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text[:24]!r} is no time")
    whole, _, part = text.partition(b".")
    nanoseconds = int((part + b"0" * 9)[:9])
    return int(whole) * 10**9 + (-nanoseconds if whole.startswith(b"-") else nanoseconds)


def _checked_size(value: int) -> int:
    if not 0 <= value < _MAX_SIZE_BYTES:
        raise ValueError(f"a size of {value} bytes")
    return value


def _text(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _number(raw: bytes) -> int:
    if raw[0] & 0x80:  # GNU's base 256
        value = int.from_bytes(bytes((raw[0] & 0x7F,)) + raw[1:], "big")
        return value - (1 << 8 * len(raw) - 1) if raw[0] & 0x40 else value
    text = raw.strip(b" \0").partition(b"\0")[0]
    try:
        return int(text or b"0", 8)
    except ValueError as error:
        raise ValueError(f"{raw[:24]!r} is no octal number") from error


def _check_sum(block: bytes) -> None:
    stored = _number(block[148:156])
    blanked = block[:148] + b" " * 8 + block[156:]
    if stored == sum(blanked):
        return
    signed = sum(byte - 256 if byte > 127 else byte for byte in blanked)
    if stored != signed:
        raise ValueError("a header whose checksum is wrong")
