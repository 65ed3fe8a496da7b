"""Rows about starting: from the command to its end, beside the bare machine and the peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.perf import bare, bundle, commands, peers
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import IMAGE, Subject

WARM = "enclos run, warm"
COLD = "enclos run, cold"
BARE_COLD = "bare QEMU, cold boot to hello"
BARE_RESTORE = "bare QEMU, restore to hello"
OCI_RUN = "enclos-oci run"


def groups(subject: Subject) -> list[Group]:
    """One group: these are the rows whose ratios are promised."""
    return [Group("starts", 10, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    made = bundle.make(subject.assets, subject.scratch / "true", ["/bin/true"])
    run = [subject.enclos, "run", "--rm"]
    rows: list[Row | Missing] = [
        commands.row(WARM, [*run, IMAGE, "true"]),
        commands.row(COLD, [*run, "--no-template", IMAGE, "true"]),
        commands.row(OCI_RUN, [subject.enclos_oci, "run", "perf-oci"], cwd=made),
    ]
    with peers.found(subject.runsc, subject.scratch) as runtimes:
        rows += [
            commands.row(f"{p.name} run", p.argv("run", "--bundle", str(made), f"perf-{p.name}"))
            for p in runtimes
        ]
        rows += (
            []
            if subject.runsc
            else [Missing("runsc run", "could not be fetched from bookworm-backports")]
        )
        try:
            with bare.prepared(subject.assets, subject.board) as machine:
                rows.append(Row(BARE_COLD, "ms", machine.cold_ms))
                rows.append(Row(BARE_RESTORE, "ms", machine.restore_ms))
                rows.append(Row(f"{BARE_RESTORE}, private map", "ms", machine.private_ms))
                yield rows
        except Unavailable as error:
            yield [*rows, Missing(BARE_COLD, str(error))]
