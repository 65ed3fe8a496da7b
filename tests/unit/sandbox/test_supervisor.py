"""A fault of ours in the supervisor is said, to its log and to whoever waits for the machine."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from enclos.sandbox import ending, supervisor


def _break(*_: object) -> NoReturn:
    raise KeyError("a fault")


async def _break_later(*_: object) -> NoReturn:
    _break()


def test_who_waits_for_the_machine_hears_of_any_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(supervisor, "_bring_up", _break_later)
    monkeypatch.setattr(ending, "stop", lambda _, why: stopped.append(why))

    async def play() -> None:
        sandbox = cast("Any", SimpleNamespace(failed=None, ready=asyncio.Event()))
        await supervisor._boot(sandbox, cast("Any", None), ExitStack())
        assert sandbox.ready.is_set()

    asyncio.run(play())
    assert stopped == ["cannot start the sandbox: internal error: KeyError('a fault')"]


def test_a_supervisor_does_not_end_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(supervisor, "_detach", _break)
    monkeypatch.setattr(os, "_exit", leave)
    start = cast("Any", SimpleNamespace(plan=None))
    listener = cast("Any", SimpleNamespace(fileno=lambda: 9))
    with pytest.raises(SystemExit) as ended:
        supervisor._main(start, listener, None)
    assert ended.value.code == 1
    assert "supervisor broke error=KeyError('a fault')" in capfd.readouterr().err
