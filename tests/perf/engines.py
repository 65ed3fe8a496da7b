"""Rows about engines: `podman run` with us and with its other runtimes, and pods.

podman has storage of its own, and the installed program as its runtime. A pod's second container
is beside its first, which starts the machine.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from enclos.linux import mountinfo
from tests.perf import commands, enginephases, peers
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import Subject
from tests.support import podman as private
from tests.support.podman import IMAGE, Podman

PODMAN_RUN = "podman run --runtime enclos"
POD_FIRST = "podman, first container of a pod"
POD_SECOND = "podman, second container of a pod"
_BESIDE = "runc"
"""Whose phases show what of them is podman's with any runtime."""


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("engines", 5, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    with _podman(subject) as podman, peers.found(subject.runsc, subject.scratch) as runtimes:
        rows: list[Row | Missing] = [_row(PODMAN_RUN, podman, subject.enclos_oci)]
        rows += _phases("enclos", podman, subject.enclos_oci, subject.scratch)
        for peer in runtimes:
            entered = replace(podman, program=(*_around(peer), *podman.program))
            name = f"podman run --runtime {peer.name}"
            program = _program(peer, subject.scratch)
            rows.append(_row(name, entered, program))
            if peer.name == _BESIDE:
                rows += _phases(peer.name, entered, program, subject.scratch)
        own = replace(podman, runtime=subject.enclos_oci)
        rows.append(Row(POD_FIRST, "ms", lambda: _pod_ms(own, before=0)))
        rows.append(Row(POD_SECOND, "ms", lambda: _pod_ms(own, before=1)))
        yield rows


def _row(name: str, podman: Podman, runtime: str) -> Row | Missing:
    """One `run` from command to end; podman calls runtimes with nearly no environment."""
    using = replace(podman, runtime=runtime)
    words = using.command("run", "--rm", "--network=none", IMAGE, "true")
    return commands.row(name, ["env", *_settings(using), *words])


def _phases(name: str, podman: Podman, program: str, scratch: Path) -> Sequence[Row | Missing]:
    try:
        return enginephases.rows(name, podman, program, scratch)
    except Unavailable as error:
        return [Missing(enginephases.WHOLE.format(name=name), str(error))]


def _settings(podman: Podman) -> list[str]:
    return [f"{name}={value}" for name, value in podman.environment.items()]


def _around(peer: peers.Peer) -> tuple[str, ...]:
    """What enters the peer's mount namespace, if it has one."""
    at = next((at for at, word in enumerate(peer.command) if word == _path(peer)), 0)
    return peer.command[:at]


def _path(peer: peers.Peer) -> str:
    return next(word for word in peer.command if Path(word).name == peer.name)


def _program(peer: peers.Peer, scratch: Path) -> str:
    """The peer's program; with flags it needs, a script around it."""
    path = _path(peer)
    flags = [word for word in peer.command if word.startswith("--") and "mount=" not in word]
    wanted = [word for word in flags if word.startswith(("--ignore", "--network", "--platform"))]
    if not wanted:
        return path
    script = scratch / f"{peer.name}-for-podman"
    script.write_text(f'#!/bin/sh\nexec {path} {" ".join(wanted)} "$@"\n')
    script.chmod(0o755)
    return str(script)


def _pod_ms(podman: Podman, *, before: int) -> float:
    """Milliseconds of `run -d` of the container after `before` others of a new pod."""
    _must(podman, "pod", "create", "--name=perf", "--network=none")
    try:
        words = ("run", "-d", "--pod=perf", IMAGE, "sleep", "1000")
        for _ in range(before):
            _must(podman, *words)
        return _wall_ms(lambda: _must(podman, *words))
    finally:
        podman.run("pod", "rm", "--force", "--time=0", "perf")


def _must(podman: Podman, *words: str) -> None:
    answer = podman.run(*words)
    if answer.code:
        raise Unavailable(f"podman {' '.join(words[:2])} ended with {answer.code}: {answer.err}")


def _wall_ms(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1000


@contextmanager
def _podman(subject: Subject) -> Iterator[Podman]:
    """podman with storage of its own and the image loaded; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="perf-podman-") as place:
        directory = Path(place)
        try:
            made = private.make(directory, {})
            private.load_image(made)
        except (AssertionError, FileNotFoundError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"no podman to measure: {error}") from error
        try:
            yield made
        finally:
            made.run("rm", "--all", "--force", "--time=0")
            for entry in reversed(mountinfo.below(directory)):
                commands.run(["umount", "--lazy", os.fspath(entry.target)])
