"""`doctor`: whether this host can run containers, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from enclos.cli import checkup, output
from enclos.cli.checkup import Finding, Verdict
from enclos.cli.output import Columns
from enclos.cli.parse import Parsed
from enclos.config import facts, load

_COLUMNS: Final = Columns(
    headings={"Check": "CHECK", "Status": "STATUS", "Found": "FOUND", "Hint": "HINT"},
    shown=("Check", "Status", "Found", "Hint"),
)


def run(asked: Parsed) -> int:
    """Status 1 if something essential is missing."""
    settings = load.settings()
    if asked.on("again"):
        facts.forget(settings.data_root)
    how = asked.text("format")
    found: list[Finding] = []
    for finding in checkup.examine(settings):
        found.append(finding)
        if not how:
            _print(finding)
    if how:
        output.listing([_row(finding) for finding in found], _COLUMNS, how)
    return 1 if _unfit(found) else 0


def _unfit(found: Iterable[Finding]) -> bool:
    return any(finding.verdict is Verdict.MISSING for finding in found)


def _print(finding: Finding) -> None:
    text = output.printable(" ".join(finding.found.split()))
    output.write(f"{finding.verdict:<8} {finding.check:<12} {text}\n")
    if finding.hint:
        output.write(f"{'':<8} {'':<12} hint: {finding.hint}\n")


def _row(finding: Finding) -> dict[str, object]:
    return {
        "Check": finding.check,
        "Status": str(finding.verdict),
        "Found": finding.found,
        "Hint": finding.hint,
    }
