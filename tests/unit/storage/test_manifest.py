from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.storage import manifest

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
BLOB = {"digest": DIGEST, "size": 7, "mediaType": "x"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_a_manifest_is_read() -> None:
    data = json.dumps({"config": BLOB, "layers": [BLOB, {**BLOB, "digest": OTHER}]}).encode()
    found = manifest.parse_manifest(data, image="x")
    assert found.config == manifest.Blob(DIGEST, 7)
    assert [blob.digest for blob in found.layers] == [DIGEST, OTHER]


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {},
        {"config": BLOB},
        {"config": BLOB, "layers": {}},
        {"config": None, "layers": []},
        {"config": BLOB, "layers": [BLOB] * 501},
        {"config": {**BLOB, "digest": "sha256:../../etc/passwd"}, "layers": []},
        {"config": {**BLOB, "digest": "md5:00"}, "layers": []},
        {"config": {**BLOB, "size": -1}, "layers": []},
        {"config": {**BLOB, "size": True}, "layers": []},
    ],
)
def test_a_broken_manifest_names_the_image(raw: Any) -> None:
    with pytest.raises(InvalidRequest, match="image some/name"):
        manifest.parse_manifest(json.dumps(raw).encode(), image="some/name")


def test_json_that_is_none() -> None:
    for data in (b"", b"{", b"\xff", b"[" * 100_000, b" " * (manifest.MAX_JSON_BYTES + 1)):
        with pytest.raises(InvalidRequest):
            manifest.parse_manifest(data, image="x")


def test_a_layouts_index_gives_the_digest_of_a_tag() -> None:
    def entry(tag: str, digest: str) -> dict[str, Any]:
        return {"digest": digest, "annotations": {"org.opencontainers.image.ref.name": tag}}

    one = json.dumps({"manifests": [entry("a", DIGEST)]}).encode()
    two = json.dumps({"manifests": [entry("a", DIGEST), entry("b", OTHER)]}).encode()
    assert manifest.layout_digest(one, "", image="x") == DIGEST
    assert manifest.layout_digest(two, "b", image="x") == OTHER
    assert manifest.layout_digest(two, "", image="x") == ""
    assert manifest.layout_digest(two, "c", image="x") == ""


def test_architectures_of_a_list() -> None:
    platforms = ["amd64", "arm64", "arm64", "unknown", None, 7]
    entries: list[Any] = [{"platform": {"architecture": name}} for name in platforms]
    data = json.dumps({"manifests": [*entries, {}, "x"]}).encode()
    assert manifest.architectures(data, image="x") == ("amd64", "arm64")


def test_chain_ids_follow_the_specification() -> None:
    first, second = manifest.chain_ids([DIGEST, OTHER])
    assert first == DIGEST
    assert second == manifest.digest_of(f"{DIGEST} {OTHER}".encode())
    assert manifest.chain_ids([]) == ()


@given(json_values)
def test_reading_is_total(raw: Any) -> None:
    data = json.dumps(raw).encode()
    for read in (
        lambda: manifest.parse_manifest(data, image="x"),
        lambda: manifest.layout_digest(data, "", image="x"),
        lambda: manifest.architectures(data, image="x"),
    ):
        with contextlib.suppress(InvalidRequest):
            read()
