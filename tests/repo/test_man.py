"""The manual pages say what the tables of verbs and settings say."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from enclos.cli.table import VERBS as ENCLOS_VERBS
from enclos.config.settings import rows
from enclos.ocicli.table import VERBS as OCI_VERBS
from enclos.shim import parse
from tests.repo import tree


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = tree.ROOT / "packaging" / "manpages.py"
    spec = importlib.util.spec_from_file_location("enclos_manpages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_what_the_tables_say(generator: ModuleType) -> None:
    wanted: dict[Path, str] = generator.pages()
    stale = [path.name for path, text in wanted.items() if path.read_text() != text]
    assert not stale, "run: python3 packaging/manpages.py"


@pytest.mark.parametrize(
    ("name", "verbs"), [("enclos.1", ENCLOS_VERBS), ("enclos-oci.8", OCI_VERBS)]
)
def test_every_verb_and_flag_is_there(
    generator: ModuleType, name: str, verbs: Sequence[Any]
) -> None:
    text = (tree.ROOT / "docs" / "man" / name).read_text()
    for verb in verbs:
        assert generator.escape(verb.usage) in text
        for flag in verb.flags:
            assert generator.escape(flag.spelling.strip()) in text


def test_every_flag_of_the_shim_is_there(generator: ModuleType) -> None:
    text = (tree.ROOT / "docs" / "man" / "containerd-shim-enclos-v2.8").read_text()
    for name in (*parse.TEXTS, *parse.SWITCHES):
        assert generator.escape(f"-{name}") in text
    for verb in parse.VERBS:
        assert f".B {verb}\n" in text


def test_every_setting_is_there(generator: ModuleType) -> None:
    text = (tree.ROOT / "docs" / "man" / "enclos-config.5").read_text()
    for row in rows():
        assert f".B {generator.escape(row.name)}\n" in text
        assert generator.escape(row.variable) in text


def test_every_verb_has_its_module() -> None:
    """A verb of the table is a file of the room, and no file is there without a verb."""
    modules = {m.path.stem for m in tree.modules() if m.place.startswith("cli/verbs/")}
    assert {verb.module for verb in ENCLOS_VERBS} == modules - {"__init__"}


def test_pages_are_roff(generator: ModuleType) -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff to read the pages with")
    for path in generator.pages():
        done = subprocess.run(
            ["groff", "-man", "-ww", "-z", str(path)], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), path.name
