"""Work that a child does: its end, its reason, and what it holds of ours."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from enclos.errors import MachineFailed
from enclos.linux import errand, pid

LIMIT_S = 20


def _refuse() -> None:
    raise OSError(28, "No space left on device", "/x")


def _break() -> None:
    raise ValueError


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wait(work: errand.Errand) -> None:
    assert select.select([work.report], [], [], LIMIT_S)[0]


def test_what_it_was_sent_for_is_done(tmp_path: Path) -> None:
    with errand.sent("a file", (tmp_path / "made").touch) as work:
        assert work.pid in errand.running
        _wait(work)
        errand.collect(work)
        assert not errand.running
    assert (tmp_path / "made").exists()
    assert work.pid not in pid.children()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_refuse, r"a file: \[Errno 28\] No space left on device: '/x'"),
        (_break, r"a file: ValueError\(\)"),
        (_die, "a file: killed by signal 9"),
    ],
)
def test_the_reason_is_told(body: Callable[[], None], reason: str) -> None:
    with errand.sent("a file", body) as work:
        _wait(work)
        with pytest.raises(MachineFailed, match=f"^{reason}$"):
            errand.collect(work)
    assert work.pid not in pid.children()


def test_one_that_is_not_done_is_killed() -> None:
    with (
        errand.sent("a nap", lambda: time.sleep(LIMIT_S)) as work,
        pytest.raises(MachineFailed, match=r"^a nap: it took too long$"),
    ):
        errand.collect(work)
    with errand.sent("another", lambda: time.sleep(LIMIT_S)) as other:
        pass
    assert not pid.children() & {work.pid, other.pid}
    assert not errand.running


def test_it_ends_with_whoever_has_sent_it() -> None:
    reader, writer = os.pipe()
    sender = os.fork()
    if sender == 0:
        try:
            with errand.sent("a nap", lambda: time.sleep(LIMIT_S), keep=(writer,)):
                os.close(writer)
                signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    time.sleep(0.2)
    os.kill(sender, signal.SIGKILL)
    os.waitpid(sender, 0)
    assert select.select([reader], [], [], 5)[0]
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_it_holds_nothing_of_ours_but_what_it_was_given() -> None:
    kept, _ = given = os.pipe()
    told = os.pipe()
    with errand.sent("a nap", lambda: time.sleep(LIMIT_S), keep=(kept,)) as work:
        place = Path(f"/proc/{work.pid}/fd")
        limit = time.monotonic() + LIMIT_S
        while len(list(place.iterdir())) != 5:
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert str(kept) in os.listdir(place)
    for descriptor in (*given, *told):
        os.close(descriptor)
