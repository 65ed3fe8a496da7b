"""Reads one section of a 64-bit little-endian ELF file: all that is needed of kernel modules."""

from __future__ import annotations

import struct


def section(data: bytes, wanted: str) -> bytes:
    """The bytes of the section called `wanted`; empty if there is none."""
    name = wanted.encode() + b"\0"
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, strings = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + size * index) for index in range(count)]
    names = headers[strings][4]
    for title, _kind, _flags, _address, offset, length in headers:
        if data.startswith(name, names + title):
            return data[offset : offset + length]
    return b""


def strings(data: bytes, wanted: str) -> list[str]:
    """The zero-terminated strings that make up the section called `wanted`."""
    parts = section(data, wanted).split(b"\0")
    return [part.decode("utf-8", "replace") for part in parts if part]
