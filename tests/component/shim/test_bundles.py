"""What `start` reads of a bundle before anybody has judged the specification in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.shim import bundles


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"annotations": {"a": "b"}}', {"a": "b"}),
        ('{"annotations": {"a": 1, "b": "c"}}', {"b": "c"}),
        ('{"annotations": null}', {}),
        ('{"annotations": ["a"]}', {}),
        ("{}", {}),
        ("[]", {}),
        ("{", {}),
        ("\udcff", {}),
        ("[" * 100_000, {}),
    ],
)
def test_annotations_of_anything(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert bundles.annotations_of(tmp_path) == found


def test_annotations_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot read"):
        bundles.annotations_of(tmp_path)
