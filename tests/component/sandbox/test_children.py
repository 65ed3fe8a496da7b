"""The supervisor answers others while it waits for a child of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enclos.errors import MachineFailed
from enclos.hypervisor.qemu import machine
from enclos.hypervisor.qemu.template import Template
from enclos.linux import files, jail
from enclos.linux.cgroup import group, starve
from enclos.linux.jail import Spawned
from enclos.sandbox import boot, children, release, sharing, starvation
from enclos.sandbox.boot import Launched, Phases
from enclos.sandbox.live import Container, Process
from enclos.state.records import ContainerRecord
from enclos.state.store import StateRoot
from enclos.tools import passt

SLOW_S = 0.6
LIMIT_S = 20.0


def turns(work: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """How often somebody else has had a turn until `work` was done."""

    async def run() -> int:
        task = asyncio.ensure_future(work())
        count = 0
        while not task.done():
            await asyncio.sleep(0.01)
            count += 1
        await task
        return count

    return asyncio.run(run())


def slow_report(text: bytes = b"") -> socket.socket:
    """Our end of a socket whose other end says `text` after a while, and hangs up."""
    ours, theirs = socket.socketpair()

    def tell() -> None:
        theirs.sendall(text)
        theirs.close()

    asyncio.get_running_loop().call_later(SLOW_S, tell)
    return ours


def test_a_program_on_its_way_into_its_jail() -> None:
    def arriving(report: bytes = b"") -> Coroutine[Any, Any, None]:
        return children.wait_arrived(Spawned(0, "/bin/x", slow_report(report)))

    assert turns(arriving) > 3
    with pytest.raises(MachineFailed, match="cannot start /bin/x: exec: no such file"):
        turns(lambda: arriving(b"exec: no such file"))


def test_a_program_that_never_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "ARRIVAL_S", 0.1)
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(MachineFailed, match="the jail was not ready in time"):
        asyncio.run(children.wait_arrived(Spawned(0, "/bin/x", ours)))


def test_a_child_is_collected_whatever_it_does() -> None:
    """One that runs is killed first; one that is collected is nobody's any more."""
    child = os.fork()
    if child == 0:
        signal.pause()
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    for pid in (child, ended, child):
        asyncio.run(asyncio.wait_for(children.reap(pid), LIMIT_S))
    for pid in (child, ended):
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_a_child_is_collected_without_a_free_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    child = os.fork()
    if child == 0:
        signal.pause()

    def refuse(_: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    asyncio.run(asyncio.wait_for(children.reap(child), LIMIT_S))
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def test_others_are_answered_while_a_child_takes_its_time_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(SLOW_S)
        os._exit(0)
    monkeypatch.setattr(os, "kill", lambda *_: None)  # the kernel is busy giving memory back
    assert turns(lambda: children.reap(child)) > 3


def test_passt_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interface of one container holds up no other container."""

    async def begin() -> None:
        plan = SimpleNamespace(directory=tmp_path, tool_root=tmp_path)
        helper = await sharing.begin(cast("Any", SimpleNamespace(plan=plan, launched=None)), 0, ())
        helper.stack.close()

    @contextmanager
    def serving(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(pid=os.getpid(), spawned=Spawned(0, "passt", slow_report()))

    monkeypatch.setattr(passt, "serving", serving)
    monkeypatch.setattr(release, "holding_process", lambda *_: ExitStack())
    assert turns(begin) > 3


def filled(ram: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Turns of others while a machine is attached to whose memory is copied from `ram`."""

    async def attached(*_: object, **__: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(machine, "attach", attached)
    template = Template("k", ram.parent, 0, 0, 0)
    helper = SimpleNamespace(spawned=None)
    output = SimpleNamespace(follow=lambda: None)
    plan = SimpleNamespace(template=template, boot_timeout_s=LIMIT_S)
    target = os.memfd_create("ram")
    try:
        with ExitStack() as stack:
            filler = stack.enter_context(boot.filling(target, template, ()))
            parts = SimpleNamespace(share=helper, qemu=helper, output=output, filler=filler)
            launched = cast("Launched", parts)

            async def wait() -> None:
                await boot.attach(launched, cast("Any", plan), Phases())

            with monkeypatch.context() as patch:
                patch.setattr(children, "wait_arrived", attached)
                return turns(wait)
    finally:
        os.close(target)


def test_the_template_s_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ram = tmp_path / "ram"
    ram.touch()
    monkeypatch.setattr(files, "copy_sparse", lambda *_: time.sleep(SLOW_S))
    assert filled(ram, monkeypatch) > 3


def test_why_the_template_s_memory_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "the template's memory could not be copied: .*No such file.*/ram"
    with pytest.raises(MachineFailed, match=reason):
        filled(tmp_path / "ram", monkeypatch)


def test_a_kill_that_the_host_s_kernel_is_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(_: object) -> bool:
        time.sleep(SLOW_S)
        (tmp_path / "starved").touch()
        return True

    monkeypatch.setattr(starve, "starve", starved)
    monkeypatch.setattr(group, "find", lambda *_: None)
    record = ContainerRecord("c", "c", "/b", "/r", "", cgroup="/g")
    container = Container(record, Process("c", "", terminal=False))
    container.memory_kills = 1
    assert turns(lambda: starvation.mirror(StateRoot(tmp_path), container)) > 3
    assert (tmp_path / "starved").exists()
