"""The drop-in for podman: TOML that adds our names and takes nobody else's away."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from enclos.plan import podmanconfig

PROGRAM = '/opt/in a "quoted\\ place"/enclos-oci'


def _read(*documents: dict[str, Any]) -> dict[str, Any]:
    text = podmanconfig.drop_in(PROGRAM, documents)
    assert podmanconfig.is_ours(text)
    engine: dict[str, Any] = tomllib.loads(text)["engine"]
    return engine


def test_both_names_mean_the_program() -> None:
    assert _read()["runtimes"] == {"enclos": [PROGRAM], "enclos-oci": [PROGRAM]}


@pytest.mark.parametrize(
    "key", ["runtime_supports_json", "runtime_supports_kvm", "runtime_supports_nocgroups"]
)
def test_the_lists_keep_what_is_in_force(key: str) -> None:
    assert {"krun", "enclos", "enclos-oci"} <= set(_read()[key])
    found = _read({"engine": {key: ["one"]}}, {"network": {}}, {"engine": {key: ["two", "runc"]}})
    assert found[key] == ["enclos", "enclos-oci", "runc", "two"]


def test_what_is_no_list_is_podmans_to_complain_about() -> None:
    assert (
        "runc"
        in _read({"engine": {"runtime_supports_json": {"append": True}}})["runtime_supports_json"]
    )
    assert "runc" in _read({"engine": "nonsense"})["runtime_supports_json"]


def test_a_file_of_somebody_else_is_not_ours() -> None:
    assert not podmanconfig.is_ours("[engine]\n")
