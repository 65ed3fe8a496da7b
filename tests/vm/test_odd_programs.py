"""Programs that the kernel refuses, and how far arguments and variables may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Programs
from tests.support.complaints import complains
from tests.vm.conftest import Keep


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that may be executed, but cannot be."""
    made = tmp_path_factory.mktemp("odd")
    contents = {
        "no-interpreter": b"#!/no/such/shell\n",
        "no-format": b"\x7fELF but not really",
        "text": b"only text\n",
        "empty": b"",
    }
    for name, data in contents.items():
        (made / name).write_bytes(data)
        (made / name).chmod(0o755)
    (made / "not-executable").write_bytes(b"#!/bin/sh\n")
    return made


@pytest.fixture(scope="module")
def box(keep: Keep, place: Path) -> str:
    """A container that has them."""
    return keep("-v", f"{place}:/odd")


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/odd/not-executable", 126, "permission denied"),
        ("/odd/text/below", 127, "not a directory"),
        ("/odd", 126, "is a directory"),
    ],
)
def test_what_cannot_be_run(programs: Programs, box: str, path: str, code: int, words: str) -> None:
    complains(programs.enclos("exec", box, path), words, code=code)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-interpreter", "No such file or directory"),
        ("no-format", "Exec format error"),
        ("text", "Exec format error"),
        ("empty", "Exec format error"),
    ],
)
def test_what_only_the_kernel_refuses(programs: Programs, box: str, name: str, words: str) -> None:
    """It is too late for a status of ours then, as it is with docker; the reason is told."""
    answer = programs.enclos("exec", box, f"/odd/{name}")
    assert answer.code != 0
    assert words in answer.err


def test_a_variable_beyond_the_kernels_limit(programs: Programs, box: str, tmp_path: Path) -> None:
    file = tmp_path / "environment"
    file.write_text(f"LONG={'x' * 200_000}\n")
    for words in (
        ("exec", "--env-file", file, box),
        ("run", "--rm", "--env-file", file, "enclos/demo"),
    ):
        complains(programs.enclos(*words, "true"), "argument list too long")


def test_all_arguments_together_beyond_the_kernels_limit(
    programs: Programs, box: str, tmp_path: Path
) -> None:
    file = tmp_path / "environment"
    file.write_text("".join(f"V{number}={'x' * 100_000}\n" for number in range(30)))
    answer = programs.enclos("exec", "--env-file", file, box, "true")
    complains(answer, "argument list too long")


def test_long_arguments_arrive(programs: Programs, box: str) -> None:
    words = ["x" * 65_536, "a b", "", "ü\n\"'\\$x"]
    script = "for word; do echo ${#word}; done"
    out = programs.ok("exec", box, "sh", "-c", script, "sh", *words)
    assert out.split() == ["65536", "3", "0", "8"]
