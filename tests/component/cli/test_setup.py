"""`enclos setup`: an engine's file is changed whole or not at all, and brought back."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from enclos.cli.main import main


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A daemon.json as people write them, and an installed `enclos-oci`."""
    program = tmp_path / "bin/enclos-oci"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(program.parent), prepend=":")
    path = tmp_path / "daemon.json"
    path.write_text(
        '{\n    "log-driver": "local",\n    "runtimes": { "kata": {"path": "/k"} }\n}\n'
    )
    path.chmod(0o640)
    return path


def setup(path: Path, *words: str) -> int:
    return main(["setup", "docker", "--config-file", str(path), *words])


def test_there_and_back(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = config.read_bytes()
    assert setup(config) == 0
    assert "written; dockerd reads it" in capfd.readouterr().out
    assert f'"enclos": {{"path": "{config.parent}/bin/enclos-oci"}}' in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert setup(config) == 0
    assert capfd.readouterr().out == f"{config}: nothing to do\n"
    assert setup(config, "--undo") == 0
    assert config.read_bytes() == before
    assert setup(config, "--undo") == 0


def test_a_dry_run_shows_the_difference(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = config.read_bytes()
    assert setup(config, "--dry-run") == 0
    assert '\n+    "enclos": {"path": ' in capfd.readouterr().out
    assert config.read_bytes() == before


def test_a_file_that_was_not_there(config: Path) -> None:
    new = config.parent / "etc/docker/daemon.json"
    assert setup(new) == 0
    assert stat.S_IMODE(new.stat().st_mode) == 0o644
    assert setup(new, "--undo") == 0
    assert not new.exists()


def test_a_link_stays_one(config: Path) -> None:
    link = config.parent / "link.json"
    link.symlink_to(config.name)
    assert setup(link) == 0
    assert link.is_symlink()
    assert "enclos" in config.read_text()


@pytest.mark.parametrize("content", [b"{broken", b"\xff\xfe", b'{"runtimes": 5}'])
def test_a_broken_file_is_left_alone(
    config: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    config.write_bytes(content)
    for words in ((), ("--undo",), ("--dry-run",)):
        assert setup(config, *words) == 125
        captured = capfd.readouterr()
        assert captured.err.startswith(f"enclos: cannot change {config}: ")
        assert "\nhint: " in captured.err
        assert config.read_bytes() == content
