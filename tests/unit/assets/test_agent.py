"""Which files the agent consists of, and what counts for its version."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.assets import agent, closure
from enclos.errors import HostUnfit

FILES = {
    "enclos/__init__.py": "",
    "enclos/ids.py": "import os.path\n",
    "enclos/log.py": "import logging\n",
    "enclos/wire/__init__.py": "",
    "enclos/wire/frames.py": "from struct import Struct\n",
    "enclos/guest/__init__.py": "",
    "enclos/guest/main.py": "from enclos.wire import frames\ndef f():\n from enclos import ids\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_inside_functions_too(sources: Path) -> None:
    found = closure.find(sources)
    assert found.files == tuple(sorted(FILES.keys() - {"enclos/log.py"}))
    assert found.imports == ("os.path", "struct")


def test_the_agent_must_exist(tmp_path: Path) -> None:
    with pytest.raises(HostUnfit, match=r"enclos\.guest\.main"):
        closure.find(tmp_path)


def test_a_changed_byte_changes_the_version(sources: Path) -> None:
    files = closure.find(sources).files
    before = agent.version(files, sources)
    assert agent.version(files, sources) == before
    (sources / "enclos/ids.py").write_text("import os.path \n")
    assert agent.version(files, sources) != before


def test_a_file_outside_the_agent_does_not_count(sources: Path) -> None:
    files = closure.find(sources).files
    before = agent.version(files, sources)
    (sources / "enclos/log.py").write_text("import syslog\n")
    assert agent.version(closure.find(sources).files, sources) == before


def test_moving_bytes_between_files_changes_the_version(sources: Path) -> None:
    pair = ("enclos/ids.py", "enclos/log.py")
    before = agent.version(pair, sources)
    (sources / pair[0]).write_text("")
    (sources / pair[1]).write_text(FILES[pair[0]] + FILES[pair[1]])
    assert agent.version(pair, sources) != before


def test_a_missing_file_is_an_error(sources: Path) -> None:
    with pytest.raises(FileNotFoundError):
        agent.version(["enclos/gone.py"], sources)


def test_the_recipe_names_files_that_exist() -> None:
    assert all((agent.PACKAGE_ROOT / file).is_file() for file in agent.recipe())
