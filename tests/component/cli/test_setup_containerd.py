"""`enclos setup containerd` on a file of its own: written, shown, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.cli.main import main

OWN = "version = 2\n# mine\n"


@pytest.fixture
def words(installed: Path) -> list[str]:
    """The command on a file that is there."""
    (installed / "config.toml").write_text(OWN)
    return ["setup", "containerd", "--config-file", str(installed / "config.toml")]


def test_write_and_undo(
    words: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    assert main(words) == 0
    assert f'runtime_type = "{tmp_path}/containerd-shim-enclos-v2"' in path.read_text()
    assert main(words) == 0
    assert main([*words, "--undo"]) == 0
    assert path.read_text() == OWN
    assert main([*words, "--undo"]) == 0
    shown = capfd.readouterr().out
    assert shown.count(f"{path}: written; containerd reads it by") == 2
    assert shown.count(f"{path}: nothing to do") == 2


def test_a_dry_run_shows_and_changes_nothing(
    words: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*words, "--dry-run"]) == 0
    assert "+privileged_without_host_devices = true\n" in capfd.readouterr().out
    assert (tmp_path / "config.toml").read_text() == OWN


def test_a_broken_file_is_named(
    words: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("[plugins\n")
    assert main(words) == 125
    assert f"cannot change {tmp_path}/config.toml: it is not valid TOML" in capfd.readouterr().err
