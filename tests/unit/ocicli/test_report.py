from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import MachineFailed, NotFound
from enclos.ocicli import report

GONE = NotFound("container x: container does not exist", hint="see: enclos-oci list")


def test_both_get_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.json"
    log.write_text("before\n")
    report.report(GONE, log=os.fspath(log), log_format="json")
    line = "container x: container does not exist (see: enclos-oci list)"
    assert capfd.readouterr() == ("", f"{line}\n")
    before, entry = log.read_text().splitlines()
    assert before == "before"
    found = json.loads(entry)
    assert found["level"] == "error"
    assert found["msg"] == line
    assert datetime.fromisoformat(found["time"]).tzinfo is not None


def test_the_log_is_made_readable(tmp_path: Path) -> None:
    old = os.umask(0o022)
    report.report(GONE, log=os.fspath(tmp_path / "log"), log_format="text")
    os.umask(old)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o644
    text = (tmp_path / "log").read_text()
    assert re.fullmatch(r'time="[-0-9T:Z]+" level=error msg="container x: .*"\n', text)


def test_details_follow_and_stay_one_entry(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    error = MachineFailed("the guest died", detail='Kernel panic\n"oops"\n')
    report.report(error, log=os.fspath(tmp_path / "log"), log_format="json")
    assert capfd.readouterr().err == 'the guest died\nKernel panic\n"oops"\n'
    (entry,) = (tmp_path / "log").read_text().splitlines()
    assert json.loads(entry)["msg"] == 'the guest died\nKernel panic\n"oops"'


def test_a_log_that_cannot_be_written_is_said_without_the_words_engines_look_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report.report(GONE, log=os.fspath(tmp_path / "no" / "log"), log_format="json")
    err = capfd.readouterr().err
    assert "cannot write to the log" in err
    assert "no such file" not in err.lower()
    assert "container does not exist" in err


@given(st.text())
def test_strings_are_json(text: str) -> None:
    sent = text.encode("utf-8", "replace").decode()
    assert json.loads(report.quoted(text)) == sent
    assert "\n" not in report.quoted(text)


@pytest.mark.parametrize("verb", ["features", "--version", "list"])
def test_an_answer_that_cannot_be_written_is_an_error_in_one_line(
    tmp_path: Path, verb: str
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "enclos.ocicli", "--root", os.fspath(tmp_path), verb],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={"PYTHONPATH": os.fspath(Path(report.__file__).parents[2])},
        )
    assert done.returncode == 1
    assert done.stderr == "cannot write to standard output: No space left on device\n"
