"""The edge: which text goes where, and with what exit status."""

from __future__ import annotations

import pytest

from enclos.cli import complain
from enclos.cli.main import main
from enclos.errors import EnclosError, HostUnfit, ProgramNotFound, ProgramNotRunnable
from enclos.wire.codec import CodecError


def test_help_that_was_asked_for_is_data(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert main(["help"]) == 0
    assert main(["help", "run"]) == 0
    assert main(["run", "--help"]) == 0
    captured = capfd.readouterr()
    assert "Commands:" in captured.out
    assert "--entrypoint PROGRAM" in captured.out
    assert captured.err == ""


def test_help_that_was_not_is_a_complaint(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 125
    assert main(["assets"]) == 125
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "usage: enclos" in captured.err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["nonsense"], "unknown command 'nonsense'", "see: enclos --help"),
        (["stpo"], "unknown command 'stpo'", "did you mean: enclos stop?"),
        (["assets", "bild"], "assets has no command 'bild'", "build, verify, path"),
        (["state", "x"], "'state' is a command of runc's grammar", "enclos-oci state"),
        (["delete", "-f", "x"], "'delete' is a command of runc's grammar", "enclos-oci delete"),
        (["run", "--bundle", ".", "x"], "enclos run cannot do --bundle", "use enclos-oci"),
        (["create", "-b", ".", "x"], "enclos create cannot do -b", "use enclos-oci"),
        (
            ["run", "--link", "a", "x"],
            "conflicting options: --link and the network none",
            "network create",
        ),
        (["run", "-p", "80:http", "x"], "'http' is no port", "HOST_PORT"),
        (["run", "--network", "nowhere", "x"], "network 'nowhere' not found", "bridge"),
        (["--no-such", "run"], "unknown flag: --no-such", "usage:"),
    ],
)
def test_one_line_and_a_hint(
    words: list[str], message: str, hint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 125
    captured = capfd.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith("enclos: ")
    assert message in first
    assert second.startswith("hint: ")
    assert hint in second


def test_statuses_follow_the_class_or_its_base() -> None:
    assert complain.status_of(ProgramNotFound("x")) == 127
    assert complain.status_of(ProgramNotRunnable("x")) == 126
    assert complain.status_of(CodecError("x")) == 125
    assert complain.status_of(EnclosError("x")) == 125


def test_a_complaint_stays_on_its_lines(capfd: pytest.CaptureFixture[str]) -> None:
    error = HostUnfit("bad\nname \x1b[2J", hint="do\nthis", detail="line 1\nline 2")
    assert complain.complain(error) == 125
    assert capfd.readouterr().err.splitlines() == [
        "enclos: bad name [2J",
        "  line 1",
        "  line 2",
        "hint: do this",
    ]
