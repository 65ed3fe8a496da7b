"""`enclos setup k3s`: the template that k3s reads gets the handler, and loses it again."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from enclos.cli.main import main

BASE = '{{ template "base" . }}\n'


@pytest.fixture
def words(installed: Path) -> list[str]:
    """The command on a directory of its own."""
    return ["setup", "k3s", "--directory", str(installed)]


@pytest.mark.parametrize(
    ("made", "name", "plugin"),
    [
        ("", "config.toml.tmpl", "io.containerd.grpc.v1.cri"),
        ("version = 2\n", "config.toml.tmpl", "io.containerd.grpc.v1.cri"),
        ("version = 3\n", "config-v3.toml.tmpl", "io.containerd.cri.v1.runtime"),
    ],
)
def test_in_and_out(words: list[str], tmp_path: Path, made: str, name: str, plugin: str) -> None:
    if made:
        (tmp_path / "config.toml").write_text(made)
    assert main(words) == 0
    template = (tmp_path / name).read_text()
    assert BASE in template
    filled = tomllib.loads(template.replace(BASE, made or "version = 2\n"))
    handler = filled["plugins"][plugin]["containerd"]["runtimes"]["enclos"]
    assert handler["runtime_type"] == f"{tmp_path}/containerd-shim-enclos-v2"
    assert handler["pod_annotations"] == ["io.enclos.*"]
    assert main(words) == 0
    assert (tmp_path / name).read_text() == template
    assert main([*words, "--undo"]) == 0
    assert not (tmp_path / name).exists()


def test_a_template_of_ones_own_is_kept(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config.toml.tmpl"
    path.write_text(f"{BASE}# mine {{{{ .NodeConfig }}}}\n")
    own = path.read_text()
    assert main(words) == 0
    assert path.read_text().startswith(own)
    assert path.read_text().count(BASE) == 1
    assert main([*words, "--undo"]) == 0
    assert path.read_text() == own


def test_a_handler_of_somebody_elses(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml.tmpl").write_text("[plugins.x.containerd.runtimes.enclos]\n")
    assert main(words) == 125
    assert f"cannot set up {tmp_path}: there is a runtime enclos" in capfd.readouterr().err
    (tmp_path / "config.toml").write_text("version = 9\n")
    assert main(words) == 125
    assert "its version is 9: 2 and 3 are known" in capfd.readouterr().err
