"""What is refused of a kernel image; that Debian's is taken is shown by the build."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from enclos.assets import kernel
from enclos.errors import HostUnfit


def bzimage(payload: bytes) -> bytes:
    """A boot protocol header with one setup sector, and `payload` right after it."""
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 0, len(payload))
    return bytes(head) + payload + b"signature"


def test_not_a_bzimage() -> None:
    with pytest.raises(HostUnfit, match="not a bzImage"):
        kernel.unpack(bytes(4096))


def test_another_compression() -> None:
    with pytest.raises(HostUnfit, match="not compressed by zstd"):
        kernel.unpack(bzimage(b"\x1f\x8b" + bytes(100)))


@pytest.mark.parametrize("names", [[], ["6.1", "6.12"]])
def test_there_must_be_one_release(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(HostUnfit, match="expected one kernel"):
        kernel.release(tmp_path)
