from __future__ import annotations

import contextlib
import io
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.storage.tarheaders import BLOCK_BYTES, Entry, Kind
from enclos.storage.tarstream import TarReader
from tests.support.imagelayouts import archive, directory, member, symlink

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in {".", ".."})


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(data), name="layer X")
    return [(entry, b"".join(reader.chunks())) for entry in reader]


def pax(**records: str) -> Any:
    return {key.replace("__", "."): value for key, value in records.items()}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS.keys())
def test_entries_come_as_they_were_written(form: int) -> None:
    data = archive(
        directory("d", mode=0o1777, uid=1, gid=2),
        (member("d/f", mode=0o4755, mtime=1234567890), b"hello"),
        symlink("d/l", "../x"),
        member("d/h", tarfile.LNKTYPE, linkname="d/f"),
        member("d/c", tarfile.CHRTYPE, devmajor=5, devminor=1),
        member("d/b", tarfile.BLKTYPE, devmajor=8, devminor=300000 & 0xFFFFF),
        member("d/p", tarfile.FIFOTYPE),
        form=form,
    )
    found = read(data)
    kinds = "DIRECTORY FILE SYMLINK HARD_LINK CHARACTER BLOCK FIFO".split()
    assert [entry.kind for entry, _ in found] == [Kind[kind] for kind in kinds]
    (d, _), (f, content), (link, _), (h, _), (c, _), *_ = found
    assert (d.mode, d.uid, d.gid) == (0o1777, 1, 2)
    assert (f.name, f.mode, f.size_bytes, f.mtime_ns) == ("d/f", 0o4755, 5, 1234567890 * 10**9)
    assert content == b"hello"
    assert (link.link, h.link, c.device) == ("../x", "d/f", (5, 1))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_links_and_ids(form: int) -> None:
    name, target = "n/" * 300 + "é", "t" * 3000
    info = member(name, tarfile.SYMTYPE, linkname=target, uid=4_000_000_000, gid=1 << 30)
    ((entry, _),) = read(archive(info, form=form))
    assert (entry.name, entry.link, entry.uid, entry.gid) == (name, target, 4_000_000_000, 1 << 30)


def test_ustar_prefixes_are_joined() -> None:
    name = "a" * 90 + "/" + "b" * 90
    ((entry, _),) = read(archive((name, b""), form=tarfile.USTAR_FORMAT))
    assert entry.name == name


def test_extended_attributes_are_bytes() -> None:
    value = bytes(range(256))
    info = member("f")
    info.pax_headers = {"SCHILY.xattr.user.x": value.decode("utf-8", "surrogateescape")}
    ((entry, _),) = read(archive((info, b"")))
    assert dict(entry.xattrs) == {"user.x": value}


def test_names_that_are_no_utf8_survive() -> None:
    data = archive(("XXXX", b""), form=tarfile.USTAR_FORMAT)
    header = bytearray(data[:512])
    header[:4] = b"\xff\xfe\x01A"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    ((entry, _),) = read(bytes(header) + data[512:])
    assert entry.name.encode("utf-8", "surrogateescape") == b"\xff\xfe\x01A"


def test_fractions_of_seconds() -> None:
    info = member("f", mtime=0)
    info.pax_headers = {"mtime": "1700000000.123456789"}
    ((entry, _),) = read(archive((info, b"")))
    assert entry.mtime_ns == 1700000000_123456789


def test_global_headers_are_ignored() -> None:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "evil"}
    ) as tar:
        tar.addfile(member("good"))
    assert [entry.name for entry, _ in read(buffer.getvalue())] == ["good"]


def test_data_that_nobody_reads_is_skipped() -> None:
    data = archive(("a", b"1" * 1000), ("b", b"2" * 512), ("c", b"3"))
    reader = TarReader(io.BytesIO(data), name="x")
    assert [entry.name for entry in reader] == ["a", "b", "c"]


def test_a_sparse_map_in_the_header_is_read() -> None:
    info = member("f")
    info.pax_headers = {"GNU.sparse.map": "0,2,10,3", "GNU.sparse.size": "20"}
    ((entry, data),) = read(archive((info, b"abcde")))
    assert (entry.extents, entry.length_bytes, data) == (((0, 2), (10, 3)), 20, b"abcde")


def test_a_sparse_map_in_the_data_is_read() -> None:
    info = member("GNUSparseFile.0/f")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "f",
        "GNU.sparse.realsize": "20",
    }
    stored = b"2\n0\n2\n10\n3\n".ljust(BLOCK_BYTES, b"\0") + b"abcde"
    ((entry, data),) = read(archive((info, stored)))
    assert (entry.name, entry.extents, data) == ("f", ((0, 2), (10, 3)), b"abcde")


@pytest.mark.parametrize("cut", [1, 511, 513, 600, 1023, 1030])
def test_a_truncated_archive_is_named(cut: int) -> None:
    data = archive(("a", b"1" * 600))
    with pytest.raises(InvalidRequest, match="layer X: broken tar archive: it is truncated"):
        read(data[:cut])


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 512,
        archive(("a", b"")).replace(b"ustar", b"ustax"),
        archive((member("a", b"V"), b"")),
        archive((member("a", b"L", linkname=""), b"x" * (2 << 20))),
    ],
    ids=["noise", "checksum", "type", "long"],
)
def test_a_malformed_archive_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="broken tar archive"):
        read(data)


@pytest.mark.parametrize(
    "records",
    [
        {"size": "-1"},
        {"size": "99999999999999999999"},
        {"uid": "4294967295"},
        {"mtime": "soon"},
        {"GNU.sparse.map": "1,2,3"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    ],
)
def test_impossible_records_are_refused(records: dict[str, str]) -> None:
    info = member("f")
    info.pax_headers = records
    with pytest.raises(InvalidRequest, match="broken tar archive"):
        read(archive((info, b"")))


def test_headers_about_headers_end() -> None:
    one = archive((member("x", b"g"), b""))[:512]
    with pytest.raises(InvalidRequest, match="extended headers without an entry"):
        read(one * 100)


@given(st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=5))
def test_what_was_packed_is_read(files: list[tuple[str, bytes]]) -> None:
    data = archive(*files)
    assert [(entry.name, content) for entry, content in read(data)] == files


@given(st.data())
def test_reading_is_total(data: st.DataObject) -> None:
    info = member("n" * 200)
    info.pax_headers = {"SCHILY.xattr.user.a": "1", "GNU.sparse.map": "0,1"}
    whole = bytearray(archive(directory("d"), (info, b"abc"), symlink("l", "x" * 150)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            block = at - at % BLOCK_BYTES
            whole[block + 148 : block + 156] = b" " * 8
            total = sum(whole[block : block + 512])
            whole[block + 148 : block + 156] = b"%06o\0 " % total
    with contextlib.suppress(InvalidRequest):
        read(bytes(whole))


@given(st.binary(max_size=3000))
def test_noise_is_refused_or_empty(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        read(data)
