"""Which place wins, and what is complained about."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.config import load
from enclos.errors import InvalidRequest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "config.d").mkdir()
    return tmp_path


def _environment(place: Path, **more: str) -> dict[str, str]:
    return {"ENCLOS_CONFIG_DIRECTORY": str(place), **more}


def test_without_files_and_variables_the_defaults_hold(tmp_path: Path) -> None:
    got = load.settings(_environment(tmp_path / "none"))
    assert got.state_root == Path(load.DEFAULT_STATE_ROOT)
    assert load.state_root(_environment(tmp_path / "none")) == load.DEFAULT_STATE_ROOT


def test_later_places_override_earlier_ones(place: Path) -> None:
    (place / "config.toml").write_text("max_vcpus = 1\ndefault_vcpus = 1\ntemplate = false\n")
    (place / "config.d" / "20-b.toml").write_text("max_vcpus = 3\n")
    (place / "config.d" / "10-a.toml").write_text("max_vcpus = 2\ndefault_vcpus = 2\n")
    (place / "config.d" / "ignored.conf").write_text("max_vcpus = 9\n")
    got = load.settings(_environment(place, ENCLOS_DEFAULT_VCPUS="5"))
    assert (got.max_vcpus, got.default_vcpus, got.template) == (3, 5, False)


def test_the_state_root_alone_follows_the_same_places(place: Path) -> None:
    (place / "config.toml").write_text('state_root = "/from/file"\n')
    assert load.state_root(_environment(place)) == "/from/file"
    assert load.state_root(_environment(place, ENCLOS_STATE_ROOT="/from/env")) == "/from/env"


def test_the_tests_own_variables_are_no_settings(place: Path) -> None:
    load.settings(_environment(place, ENCLOS_TEST_ANYTHING="1"))


def test_an_unknown_variable_is_named(place: Path) -> None:
    with pytest.raises(InvalidRequest, match="variable ENCLOS_TEMPLATES: unknown setting"):
        load.settings(_environment(place, ENCLOS_TEMPLATES="1"))


def test_a_file_that_is_not_toml_is_named(place: Path) -> None:
    (place / "config.toml").write_text("a = = b")
    with pytest.raises(InvalidRequest, match=r"config\.toml is not TOML"):
        load.settings(_environment(place))


def test_a_file_that_is_not_utf8_is_named(place: Path) -> None:
    (place / "config.toml").write_bytes(b'a = "\xff"')
    with pytest.raises(InvalidRequest, match=r"config\.toml is not TOML"):
        load.settings(_environment(place))


def test_a_file_that_leads_nowhere_is_named(place: Path) -> None:
    (place / "config.toml").symlink_to("nowhere")
    with pytest.raises(InvalidRequest, match="cannot read the configuration"):
        load.settings(_environment(place))


def test_a_table_in_place_of_a_value_is_refused(place: Path) -> None:
    (place / "config.toml").write_text("[template]\nx = 1\n")
    with pytest.raises(InvalidRequest, match="template: "):
        load.settings(_environment(place))
