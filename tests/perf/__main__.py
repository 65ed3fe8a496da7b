"""`python -m tests.perf`: measures the product beside its floors and peers, and prints a table.

Needs root, an installed `enclos` and assets, and an otherwise idle machine. The table goes to
stdout, progress to stderr, every value to the JSON file. Exits 1 if a promise was not kept.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from enclos.errors import EnclosError
from tests.perf import (
    cri,
    engines,
    memory,
    netstarts,
    networks,
    peers,
    phases,
    pods,
    report,
    series,
    starts,
    streams,
    subject,
    tasks,
    verbs,
)
from tests.perf.series import Group, Series, Unavailable
from tests.perf.subject import Subject

_USUAL: Final = (
    "starts", "phases", "verbs", "memory", "streams", "networks", "network-starts", "engines",
    "tasks", "cri",
)  # fmt: skip
"""Groups that are measured if none is named."""


def main() -> int:
    """The exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="enclos-perf-") as scratch:
        try:
            found = _subject(options, Path(scratch))
        except (Unavailable, EnclosError) as error:
            print(f"tests.perf: {error}", file=sys.stderr)
            return 2
        return _measure(found, options)


def _measure(found: Subject, options: argparse.Namespace) -> int:
    about = subject.versions(found)
    about["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    taken: list[Series] = []
    for group in _groups(found, options.only):
        taken += series.take(group, rounds=options.rounds, say=series.to_stderr)
    about["load after"] = " ".join(f"{value:.2f}" for value in os.getloadavg())
    verdicts = report.verdicts({one.name: one for one in taken})
    if options.json:
        document = report.document(taken, verdicts, about)
        Path(options.json).write_text(json.dumps(document, indent=2) + "\n")
    print(*(f"{key}: {value}" for key, value in about.items()), sep="\n")
    print(f"\n{report.table(taken, verdicts)}")
    return 0 if all(one.kept for one in verdicts) else 1


def _groups(found: Subject, only: str) -> list[Group]:
    groups = [
        group
        for rows in (
            starts,
            phases,
            verbs,
            memory,
            streams,
            networks,
            netstarts,
            engines,
            tasks,
            cri,
            pods,
        )
        for group in rows.groups(found)
    ]
    return [group for group in groups if group.name in (only.split(",") if only else _USUAL)]


def _subject(options: argparse.Namespace, scratch: Path) -> Subject:
    if os.geteuid() != 0:
        raise Unavailable("needs root")
    runsc = peers.fetch_runsc(Path(options.peers) / "runsc")
    return subject.find(enclos=options.enclos, runsc=runsc, scratch=scratch)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--enclos", default="enclos", help="the program to measure")
    parser.add_argument("--rounds", type=int, help="instead of each group's own number")
    parser.add_argument(
        "--only",
        default="",
        help=f"groups: {','.join(_USUAL)}; and pods",
    )
    parser.add_argument("--json", help="file for every value")
    parser.add_argument(
        "--peers", default="/var/cache/enclos-dev/peers", help="where fetched peers are kept"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
