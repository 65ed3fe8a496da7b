"""What an error has to look like: one line and a hint, the right status, never a traceback."""

from __future__ import annotations

from tests.support.commands import Answer


def complains(answer: Answer, *words: str, code: int = 125) -> None:
    """`answer` failed with `code` and says `words`: one line, a hint below, nothing else."""
    first, hint = _common(answer, code)
    assert all(word in first for word in words), f"{words} are not in: {answer.err}"
    assert len(answer.err.splitlines()) == 1 + bool(hint), answer.err
    assert hint, f"there is no hint: {answer.err}"


def complains_at_length(answer: Answer, *words: str) -> None:
    """The same with evidence between the line and the hint; `words` may be anywhere."""
    _, hint = _common(answer, 125)
    assert hint, f"there is no hint: {answer.err}"
    assert all(word in answer.err for word in words), f"{words} are not in: {answer.err}"


def _common(answer: Answer, code: int) -> tuple[str, str]:
    assert answer.code == code, answer
    assert answer.out == ""
    assert "Traceback" not in answer.err
    lines = answer.err.splitlines()
    assert lines, "it says nothing"
    assert lines[0].startswith("enclos: "), answer.err
    return lines[0], lines[-1] if lines[-1].startswith("hint: ") else ""
