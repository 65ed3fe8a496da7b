"""The tests about the tree, shown what they must find: a rule that cannot fail is no rule."""

from __future__ import annotations

import pytest

from tests.repo import test_keys, test_layers, test_purity, test_words, tree


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("oci/x.py", "from enclos.plan import sandbox"),
        ("wire/x.py", "from enclos.state import store"),
        ("linux/x.py", "import enclos.config.load"),
        ("cli/x.py", "from enclos.ocicli import table"),
        ("storage/x.py", "def f() -> None:\n    from enclos.network import inspect"),
        ("guest/x.py", "from enclos.config import settings"),
        ("assets/x.py", "from enclos.plan import sandbox"),
    ],
)
def test_a_wrong_import_is_found(place: str, text: str) -> None:
    assert list(test_layers.violations(tree.parse(text, place)))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("cli/x.py", "from enclos.sandbox import boot\nfrom enclos import errors, log"),
        ("wire/x.py", "from enclos.oci import types\nfrom enclos.wire import frames"),
        ("guest/x.py", "from enclos.linux import mount"),
        ("state/x.py", "import os\nfrom enclos.errors import NotFound"),
    ],
)
def test_a_right_import_is_not(place: str, text: str) -> None:
    assert not list(test_layers.violations(tree.parse(text, place)))


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import os\nos.stat('/')",
        "import os as o",
        "from os import environ",
        "from enclos.linux import mount",
        "from enclos import log",
        "x = open('/etc/passwd')",
        "def f(path):\n    return path.read_text()",
        "def f(path):\n    return path.exists()",
    ],
)
def test_an_effect_is_found(text: str) -> None:
    assert list(test_purity.findings(tree.parse(text, "oci/x.py")))


def test_paths_are_pure() -> None:
    lines = (
        "import os",
        "from os import fspath",
        "from pathlib import Path",
        "text = fspath(Path(os.path.join('/', 'x')) / 'y')",
    )
    assert not list(test_purity.findings(tree.parse("\n".join(lines), "oci/x.py")))


@pytest.mark.parametrize(
    "text",
    [
        "open('f', 'w')",
        "open('f', mode='ab')",
        "import os\nos.open('f', os.O_RDONLY | os.O_CREAT)",
        "import os\nos.rename('a', 'b')",
        "from os import mkdir",
        "def f(path):\n    path.write_text('x')",
        "def f(path):\n    path.open('r+')",
    ],
)
def test_a_write_is_found(text: str) -> None:
    assert test_keys.writes(tree.parse(text, "state/x.py"))


def test_a_read_is_no_write() -> None:
    lines = (
        "import os",
        "open('f')",
        "open('fax', 'rb')",
        "os.open('f', os.O_RDONLY)",
        "'a'.replace('a', 'b')",
    )
    assert not test_keys.writes(tree.parse("\n".join(lines), "state/x.py"))


@pytest.mark.parametrize(
    "text", ["import os\nos.environ['A']", "from os import getenv", "import os\nos.getenv('A')"]
)
def test_the_environment_is_seen(text: str) -> None:
    assert test_keys.uses(tree.parse(text, "cli/x.py"), test_keys.ENVIRONMENTAL)


@pytest.mark.parametrize("comment", ["x = f(1)", "return x", "import os", "run(a, b)"])
def test_code_in_a_comment_is_found(comment: str) -> None:
    assert test_words.is_code(comment)


@pytest.mark.parametrize(
    "comment", ["UNKNOWN", "if the kernel refuses", "fmt: skip", "see f(x) above", "x is 3"]
)
def test_a_sentence_is_no_code(comment: str) -> None:
    assert not test_words.is_code(comment)
