"""Rows about verbs on a running container: exec, state, kill, beside the peers'."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.perf import bundle, commands, peers
from tests.perf.peers import Peer
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import IMAGE, Subject

EXEC = "enclos exec true"
STATE = "enclos-oci state"
KILL = "enclos-oci kill 0"
_NAME = "enclos-perf-verbs"


def groups(subject: Subject) -> list[Group]:
    """One group: small things, so more rounds."""
    return [Group("verbs", 30, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    made = bundle.make(subject.assets, subject.scratch / "sleep", ["/bin/sleep", "1000"])
    rows: list[Row | Missing] = [
        commands.row("python -I -S", [sys.executable, "-I", "-S", "-c", ""])
    ]
    with ExitStack() as stack:
        rows += _enter(stack, _exec(subject), EXEC)
        ours = Peer("enclos-oci", (subject.enclos_oci,))
        others = stack.enter_context(peers.found(subject.runsc, subject.scratch))
        for peer in (ours, *others):
            rows += _enter(stack, _running(peer, made), f"{peer.name} state")
        yield rows


@contextmanager
def _exec(subject: Subject) -> Iterator[list[Row | Missing]]:
    commands.run([subject.enclos, "run", "-d", "--name", _NAME, IMAGE, "sleep", "1000"])
    try:
        yield [commands.row(EXEC, [subject.enclos, "exec", _NAME, "true"])]
    finally:
        commands.run([subject.enclos, "rm", "-f", _NAME])


@contextmanager
def _running(peer: Peer, made: Path) -> Iterator[list[Row | Missing]]:
    """The verbs of one runtime on a container that sleeps."""
    name = f"perf-verbs-{peer.name}"
    try:
        commands.run(peer.argv("create", "--bundle", str(made), name))
        commands.run(peer.argv("start", name))
        yield [
            commands.row(f"{peer.name} {verb}", peer.argv(*argv))
            for verb, argv in (
                ("state", ("state", name)),
                ("kill 0", ("kill", name, "0")),
                ("exec true", ("exec", name, "/bin/true")),
            )
        ]
    finally:
        with contextlib.suppress(Unavailable):
            commands.run(peer.argv("delete", "--force", name))


def _enter(
    stack: ExitStack,
    rows: contextlib.AbstractContextManager[list[Row | Missing]],
    name: str,
) -> list[Row | Missing]:
    try:
        return stack.enter_context(rows)
    except Unavailable as error:
        return [Missing(name, str(error))]
