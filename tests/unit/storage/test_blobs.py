from __future__ import annotations

import gzip
import hashlib
import io
import random
import zlib

import pytest

from enclos.errors import InvalidRequest
from enclos.storage.blobs import Digesting, Inflating, unpack_errors


def inflate(data: bytes) -> bytes:
    return io.BufferedReader(Inflating(io.BytesIO(data)), 1 << 20).read()


@pytest.mark.parametrize("size", [0, 1, 100, 65_536, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_members_and_padding_are_inflated(size: int) -> None:
    half = size // 2
    data = bytes(half) + random.Random(size).randbytes(size - half)
    packed = gzip.compress(data, 1) + gzip.compress(b"tail") + bytes(100)
    assert inflate(packed) == data + b"tail"


def test_the_end_can_be_read_twice() -> None:
    reader = io.BufferedReader(Inflating(io.BytesIO(gzip.compress(b"x"))), 1 << 20)
    assert (reader.read(), reader.read(1)) == (b"x", b"")


@pytest.mark.parametrize("cut", [3, 15, -9, -1])
def test_a_truncated_stream_is_an_error(cut: int) -> None:
    damaged = pytest.raises(InvalidRequest, match="layer X: damaged compressed data")
    with damaged, unpack_errors("layer X"):
        inflate(gzip.compress(b"hello" * 100)[:cut])


def test_a_damaged_stream_is_an_error() -> None:
    packed = bytearray(gzip.compress(random.Random(1).randbytes(1000)))
    packed[500] ^= 1
    with pytest.raises(zlib.error):
        inflate(bytes(packed))


def test_digests_are_of_what_was_read() -> None:
    digesting = Digesting(io.BytesIO(b"hello"))
    assert io.BufferedReader(digesting).read() == b"hello"
    assert digesting.digest == "sha256:" + hashlib.sha256(b"hello").hexdigest()
