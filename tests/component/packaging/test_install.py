"""`make install` and `make uninstall` below a prefix of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

TREE: Final = Path(__file__).resolve().parents[3]
LAUNCHERS: Final = {
    "enclos": "cli",
    "enclos-oci": "ocicli",
    "containerd-shim-enclos-v2": "shim",
}


def make(target: str, prefix: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", "-C", TREE, target, f"PREFIX={prefix}"], capture_output=True, text=True
    )


def files(prefix: Path) -> set[str]:
    return {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prefix")
    done = make("install", place)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_are_isolated(prefix: Path, name: str) -> None:
    lines = (prefix / "bin" / name).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/python3 -ISXutf8"
    assert f"from enclos.{LAUNCHERS[name]}.main import main" in lines
    assert (prefix / "bin" / name).stat().st_mode & 0o777 == 0o755


def test_libraries_are_there_and_nothing_of_the_clone(prefix: Path) -> None:
    found = files(prefix)
    assert "lib/enclos/enclos/errors.py" in found
    for library in ("qemu/qmp/", "google/protobuf/"):
        assert any(name.startswith(f"lib/enclos/{library}") for name in found)
    assert not [name for name in found if name.startswith("lib/.enclos")]


def test_everything_is_compiled_for_the_place_it_is_at(prefix: Path) -> None:
    found = files(prefix)
    compiled = [name for name in found if name.endswith(".pyc")]
    assert len(compiled) == len([name for name in found if name.endswith(".py")])
    errors = next(name for name in compiled if "/enclos/__pycache__/errors." in name)
    recorded = f"{prefix}/lib/enclos/enclos/errors.py".encode()
    assert recorded in (prefix / errors).read_bytes()


def test_again_is_the_same(prefix: Path) -> None:
    before = files(prefix)
    (prefix / "lib/enclos/enclos/stale.py").write_text("")
    done = make("install", prefix)
    assert done.returncode == 0, done.stderr
    assert files(prefix) == before


def test_uninstall_leaves_no_file(tmp_path: Path) -> None:
    assert make("install", tmp_path).returncode == 0
    done = make("uninstall", tmp_path)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == set()
    assert make("uninstall", tmp_path).returncode == 0


def test_a_relative_prefix_is_refused(tmp_path: Path) -> None:
    script = TREE / "packaging/install.sh"
    done = subprocess.run([script, "", "usr"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "PREFIX must be an absolute path" in done.stderr
    assert list(tmp_path.iterdir()) == []
