"""`enclos setup podman` on a directory of its own: written, shown, taken back."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from enclos.cli.main import main


@pytest.fixture
def program(installed: Path) -> Path:
    """The runtime that podman is told of."""
    return installed / "enclos-oci"


def test_write_and_undo(program: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drop_in = tmp_path / "containers.conf.d" / "50-enclos.conf"
    words = ["setup", "podman", "--config-file", str(drop_in)]
    assert main(words) == 0
    found = tomllib.loads(drop_in.read_text())
    assert found["engine"]["runtimes"]["enclos"] == [str(program)]
    assert drop_in.stat().st_mode & 0o777 == 0o644
    assert main(words) == 0
    assert main([*words, "--undo"]) == 0
    assert not drop_in.exists()
    assert main([*words, "--undo"]) == 0
    shown = capfd.readouterr().out
    assert shown.count(f"{drop_in}: written; podman reads it") == 2
    assert shown.count(f"{drop_in}: nothing to do") == 2


def test_a_dry_run_shows_and_changes_nothing(
    program: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    drop_in = tmp_path / "containers.conf.d" / "50-enclos.conf"
    words = ["setup", "podman", "--config-file", str(drop_in), "--dry-run"]
    assert main(words) == 0
    shown = capfd.readouterr().out
    assert shown.startswith(f"--- {drop_in}\n+++ {drop_in}\n")
    assert f'+enclos = ["{program}"]' in shown
    assert not drop_in.parent.exists()
    assert main(words[:-1]) == 0
    text = drop_in.read_text()
    assert main([*words, "--undo"]) == 0
    assert f'-enclos = ["{program}"]' in capfd.readouterr().out
    assert drop_in.read_text() == text


@pytest.mark.usefixtures("program")
def test_a_list_of_the_administrators_is_kept(tmp_path: Path) -> None:
    (tmp_path / "10-own.conf").write_text('[engine]\nruntime_supports_json = ["own"]\n')
    (tmp_path / "90-late.conf").write_text('[engine]\nruntime_supports_json = ["late"]\n')
    drop_in = tmp_path / "50-enclos.conf"
    assert main(["setup", "podman", "--config-file", str(drop_in)]) == 0
    listed = tomllib.loads(drop_in.read_text())["engine"]["runtime_supports_json"]
    assert listed == ["enclos", "enclos-oci", "own"]


@pytest.mark.usefixtures("program")
def test_a_foreign_file_is_left_alone(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = tmp_path / "50-enclos.conf"
    own.write_text("[engine]\n")
    for words in ([], ["--undo"]):
        assert main(["setup", "podman", "--config-file", str(own), *words]) == 125
        assert "was not written by" in capfd.readouterr().err
    assert own.read_text() == "[engine]\n"


@pytest.mark.usefixtures("program")
def test_a_broken_configuration_is_named(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "10-own.conf").write_text("[engine\n")
    drop_in = tmp_path / "50-enclos.conf"
    assert main(["setup", "podman", "--config-file", str(drop_in)]) == 125
    assert "10-own.conf is not TOML" in capfd.readouterr().err
    assert not drop_in.exists()
