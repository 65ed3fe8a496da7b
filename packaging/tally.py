"""Adds up the tiers' reports; fails if a test failed or a tier ran nothing.

Usage: tally.py DIRECTORY TIER…, where DIRECTORY holds TIER.xml as pytest's --junitxml wrote it.
The last line printed is `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Tier:
    """What one tier's report says. `passed` and `failed` are what really ran."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float

    @property
    def fine(self) -> bool:
        """Whether something ran and nothing failed."""
        return self.passed > 0 and self.failed == 0


def read(name: str, report: Path) -> Tier:
    """The figures of one report; a report that is missing or cut off counts as nothing run."""
    try:
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return Tier(name, passed=0, failed=0, skipped=0, seconds=0.0)
    total: Counter[str] = Counter()
    for suite in suites:
        for key in ("tests", "failures", "errors", "skipped"):
            total[key] += int(suite.get(key, "0"))
    failed = total["failures"] + total["errors"]
    return Tier(
        name,
        passed=max(0, total["tests"] - failed - total["skipped"]),
        failed=failed,
        skipped=total["skipped"],
        seconds=sum(float(suite.get("time", "0")) for suite in suites),
    )


def main(folder: str, *names: str) -> int:
    """Print the table and the closing line; the exit status."""
    tiers = [read(name, Path(folder) / f"{name}.xml") for name in names]
    print(f"\n{'tier':<12} {'passed':>7} {'failed':>7} {'skipped':>7} {'seconds':>8}")
    for tier in tiers:
        row = f"{tier.name:<12} {tier.passed:>7} {tier.failed:>7} {tier.skipped:>7}"
        print(f"{row} {tier.seconds:>8.0f}{'' if tier.passed else '  RAN NOTHING'}")
    passed, failed, skipped = (
        sum(getattr(tier, key) for tier in tiers) for key in ("passed", "failed", "skipped")
    )
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if tiers and all(tier.fine for tier in tiers) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
