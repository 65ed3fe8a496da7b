"""A fault of ours in the supervisor is said, to its log and to whoever waits for the machine."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from enclos.errors import MachineFailed
from enclos.sandbox import containers, daemon, ending, release, supervisor, watch
from enclos.state import ledger
from enclos.state.ledger import Entry, Ledger


def _break(*_: object) -> NoReturn:
    raise KeyError("a fault")


async def _break_later(*_: object) -> NoReturn:
    _break()


def test_who_waits_for_the_machine_hears_of_any_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_bring_up", _break_later)
    sandbox = asyncio.run(_booted(containers={"c": None}))
    assert sandbox.stopped == ["cannot start the sandbox: internal error: KeyError('a fault')"]


async def _booted(containers: dict[str, None]) -> Any:
    """A sandbox whose boot is over, and what it was stopped for."""
    stopped: list[str] = []
    sandbox = cast(
        "Any",
        SimpleNamespace(failed=None, ready=asyncio.Event(), containers=containers, stopped=stopped),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ending, "stop", lambda _, why: stopped.append(why))
        await supervisor._boot(sandbox, cast("Any", None), ExitStack())
        assert sandbox.ready.is_set()
        await asyncio.sleep(0.05)
    return sandbox


def test_who_is_yet_to_ask_for_a_container_hears_of_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine may fail before the caller of `create` is ready to send its request."""

    async def play() -> None:
        sandbox = await _booted(containers={})
        assert not sandbox.stopped
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ending, "stop", lambda _, why: sandbox.stopped.append(why))
            watch.broken(sandbox, "QEMU ended unexpectedly")  # as it was told to, by the failure
        assert not sandbox.stopped
        with pytest.raises(MachineFailed, match="a fault"):
            await containers._wait_ready(sandbox)

    monkeypatch.setattr(supervisor, "_bring_up", _break_later)
    asyncio.run(play())
    monkeypatch.setattr(ending, "_CREATOR_TIMEOUT_S", 0)
    assert asyncio.run(_booted(containers={})).stopped


def test_a_supervisor_does_not_end_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(daemon, "_detach", _break)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit) as ended:
        daemon._main(lambda _: None, set())
    assert ended.value.code == 1
    assert "supervisor broke error=KeyError('a fault')" in capfd.readouterr().err


def test_each_endpoint_is_released_whatever_becomes_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ledger.of_sandbox(tmp_path)
    for name in ("first", "stuck", "third"):
        held.record(release.ENDPOINT, name=name)
    left: list[str] = []

    async def leave(_: object, held: Ledger, entry: Entry) -> None:
        if entry.fields["name"] == "stuck":
            raise MachineFailed("netavark is not there")
        left.append(str(entry.fields["name"]))
        held.clear(entry)

    monkeypatch.setattr(supervisor, "_leave", leave)
    sandbox = cast("Any", SimpleNamespace(plan=SimpleNamespace(directory=tmp_path)))
    with pytest.raises(MachineFailed, match="netavark is not there"):
        asyncio.run(supervisor._disconnect(sandbox))
    assert sorted(left) == ["first", "third"]
    assert [entry.fields["name"] for entry in held.entries()] == ["stuck"]
