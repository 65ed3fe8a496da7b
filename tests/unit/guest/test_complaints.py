"""crun's complaints (1.21, word for word) in the words that engines look for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enclos.errors import GuestFailed, InvalidRequest, ProgramNotFound, ProgramNotRunnable
from enclos.guest import complaints
from enclos.guest.complaints import Program, program_of, translate

WORDS = ("executable file not found", "no such file or directory", "permission denied",
         "operation not permitted", "not a directory", "is a directory")  # fmt: skip
"""By these moby and podman tell exit codes 126 and 127."""


@pytest.mark.parametrize(
    ("complaint", "name", "kind", "message"),
    [
        (
            "executable file `foo` not found in $PATH: No such file or directory", "foo",
            ProgramNotFound, 'exec: "foo": executable file not found in $PATH',
        ),
        (
            "cannot find `` in $PATH: No such file or directory", "",
            ProgramNotFound, 'exec: "": executable file not found in $PATH',
        ),
        (
            "executable file `/x` not found: No such file or directory", "/x",
            ProgramNotFound, 'exec: "/x": stat /x: no such file or directory',
        ),
        (
            "cannot open `/file/x`: Not a directory", "/file/x",
            ProgramNotFound, 'exec: "/file/x": stat /file/x: not a directory',
        ),
        (
            "the path `/etc` is not a regular file: Operation not permitted", "/etc",
            ProgramNotRunnable, 'exec: "/etc": permission denied: it is a directory',
        ),
        (
            "the path `/notexec` exists but it is not executable: Operation not permitted",
            "/notexec", ProgramNotRunnable, 'exec: "/notexec": permission denied',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_program(
    complaint: str, name: str, kind: type[Exception], message: str
) -> None:
    error = translate(complaint, Program(name, name))
    assert type(error) is kind
    assert error.message == message
    assert not any(word in error.hint for word in WORDS)


@pytest.mark.parametrize(
    "complaint",
    [
        "cannot stat `/nonexist`: No such file or directory",
        "open `/nonexist`: No such file or directory",
        "chdir to `/afile`: Not a directory",
        "mount `x` to `y`: Is a directory",
        "mount `proc` to `proc`: Operation not permitted",
        "open `/sys/fs/cgroup/x`: Permission denied",
        "cannot open `/proc/self/attr/exec`: No such file or directory",
    ],
)
def test_other_complaints_hold_none_of_these_words(complaint: str) -> None:
    error = translate(complaint, Program("true", ""))
    assert type(error) is GuestFailed
    assert not any(word in error.message.lower() for word in WORDS)
    assert error.message.split("`")[1] == complaint.split("`")[1]


def test_silence_is_named() -> None:
    assert translate("", Program("true", "")).message == "crun failed without a word"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/absent", "no such file or directory"),
        ("/plain/below", "not a directory"),
        ("/plain", "permission denied"),
        ("/folder", "permission denied: it is a directory"),
        ("/folder/../plain", "permission denied"),
        ("/absolute", "permission denied: it is a directory"),
        ("/circle", "permission denied"),
        ("/../../folder", "permission denied: it is a directory"),
    ],
)
def test_a_path_is_looked_at_inside_its_root(tmp_path: Path, path: str, words: str) -> None:
    """As crun exec says the same of a path that is missing and one that is a directory."""
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    os.symlink("/folder", tmp_path / "absolute")
    os.symlink("circle", tmp_path / "circle")
    assert complaints.look(os.fspath(tmp_path), path) == words


def test_the_program_is_where_the_process_would_find_it() -> None:
    assert program_of({"args": ["sh", "-c"], "cwd": "/tmp"}) == Program("sh", "")
    assert program_of({"args": ["./x"], "cwd": "/tmp"}) == Program("./x", "/tmp/./x")
    assert program_of({"args": ["/bin/x"], "cwd": "/tmp"}) == Program("/bin/x", "/bin/x")


@pytest.mark.parametrize("process", [{}, {"args": [], "cwd": "/"}, {"args": ["x"]}, [], None, 1])
def test_a_process_without_program_is_refused(process: object) -> None:
    with pytest.raises(InvalidRequest):
        program_of(process)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        complaints.decoded(text)
