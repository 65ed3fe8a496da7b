"""Rows about Kubernetes' side of containerd: a pod, which is a machine and a pause container, and
one more container of it, by the calls that the kubelet makes.

The client is the tests' own, which needs their packages (grpcio, pytest); the shim is the installed
one.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos.config import load
from tests.perf.series import Group, Missing, Row
from tests.perf.subject import Subject
from tests.support.cli import Programs

if TYPE_CHECKING:
    from tests.support.cri import Cri

POD: Final = "CRI, a pod and its pause container"
MEMBER: Final = "CRI, one more container of a pod"
_SHIM: Final = "containerd-shim-enclos-v2"


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("cri", 5, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    try:
        from tests.support import containerd, cri
    except ImportError as error:
        reason = f"no {error.name} here: make test fetches it"
        yield [Missing(name, reason) for name in (POD, MEMBER)]
        return
    settings = load.settings()
    programs = Programs(settings.state_root, settings.data_root)
    data, logs = subject.scratch / "cri", subject.scratch / "logs"
    data.mkdir()
    logs.mkdir()
    with (
        containerd.running(programs, data, cri=True) as daemon,
        cri.served(daemon, logs) as client,
    ):
        _use_installed(daemon.place / "bin" / _SHIM, subject, programs)
        yield [
            Row(POD, "ms", lambda: _pod_ms(client, member=False)),
            Row(MEMBER, "ms", lambda: _pod_ms(client, member=True)),
        ]


def _use_installed(launcher: Path, subject: Subject, programs: Programs) -> None:
    """Have containerd start the installed shim in place of this tree's."""
    roots = (f"ENCLOS_STATE_ROOT={programs.state_root}", f"ENCLOS_DATA_ROOT={programs.data_root}")
    installed = str(Path(subject.enclos).with_name(_SHIM))
    launcher.write_text(f'#!/bin/sh\nexec env {shlex.join([*roots, installed])} "$@"\n')


def _pod_ms(client: Cri, *, member: bool) -> float:
    """Milliseconds for RunPodSandbox, or for CreateContainer and StartContainer in a pod."""
    began = time.perf_counter()
    with client.pod() as pod:
        if member:
            began = time.perf_counter()
            pod.run("sleep", "10000")
        return (time.perf_counter() - began) * 1000
