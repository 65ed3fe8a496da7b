"""The table and the JSON document, and the promises held against the figures."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from tests.perf import cri, engines, figures, memory, networks, pods, starts, streams, tasks, verbs
from tests.perf.figures import Figures, Ratio
from tests.perf.series import Series

_SEED: Final = 1
"""Resampling is the same in every report of the same figures."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A median, or a ratio of two, that has to be on one side of a limit."""

    text: str
    row: str
    limit: float
    beside: str = ""
    at_least: bool = False
    on_request: bool = False
    """Held only against what was measured: its group is none of the usual ones."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promise and what was found; nothing was, if a row is missing."""

    promise: Promise
    found: Ratio | None
    kept: bool


PROMISES: Final = (
    Promise("warm run by cold run", starts.WARM, 0.30, beside=starts.COLD),
    Promise("warm run by runsc run", starts.WARM, 5.0, beside="runsc run"),
    Promise("cold run by bare cold boot", starts.COLD, 1.3, beside=starts.BARE_COLD),
    Promise("enclos-oci state, ms", verbs.STATE, 20.0),
    Promise("one more idle sandbox, MB", memory.INCREMENT, 150.0),
    Promise(
        "a pod's second container by its first", engines.POD_SECOND, 0.4, beside=engines.POD_FIRST
    ),
    Promise(
        "one more container of a pod by its first", tasks.POD_NEXT, 0.4, beside=tasks.POD_FIRST
    ),
    Promise("one more container of a pod by it, CRI", cri.MEMBER, 0.4, beside=cri.POD),
    Promise(f"{pods.PODS} idle pods, MB", pods.HELD, 100.0 * pods.PODS, on_request=True),
    Promise("ctr run by enclos-oci run", tasks.CTR_RUN, 1.15, beside=starts.OCI_RUN),
    *(
        Promise(
            f"{networks.row(ours, what)} by {bare}'s",
            networks.row(ours, what),
            0.95,
            beside=networks.row(bare, what),
            at_least=True,
        )
        for ours, bare in networks.BESIDE
        for what in networks.ROWS[ours]
    ),
    Promise("stdout, MB/s", streams.STDOUT, 50.0, at_least=True),
)


def verdicts(taken: Mapping[str, Series]) -> list[Verdict]:
    """Every promise held against what was measured."""
    asked = (promise for promise in PROMISES if promise.row in taken or not promise.on_request)
    return [_verdict(promise, taken) for promise in asked]


def table(taken: Sequence[Series], found: Sequence[Verdict]) -> str:
    """For people: the rows, then the promises."""
    return "\n".join([*_rows(taken), "", *_promises(found)])


def document(
    taken: Sequence[Series], found: Sequence[Verdict], about: Mapping[str, str]
) -> dict[str, object]:
    """The same for programs, with every single value."""
    return {
        "about": dict(about),
        "series": [
            asdict(one) | {"figures": asdict(figures.figures(one.values)) if one.values else None}
            for one in taken
        ],
        "promises": [asdict(one) for one in found],
    }


def _verdict(promise: Promise, taken: Mapping[str, Series]) -> Verdict:
    above = taken.get(promise.row)
    below = taken.get(promise.beside)
    if above is None or not above.values or (promise.beside and not (below and below.values)):
        return Verdict(promise, None, kept=False)
    if below is None:
        value = figures.median(above.values)
        found = Ratio(value, min(above.values), max(above.values))
    else:
        found = figures.ratio(above.values, below.values, random.Random(_SEED))
    kept = found.value >= promise.limit if promise.at_least else found.value <= promise.limit
    return Verdict(promise, found, kept=kept)


def _rows(taken: Sequence[Series]) -> Iterator[str]:
    yield (
        f"{'row':<36} {'n':>3} {'min':>9} {'median':>9} {'p90':>9} {'max':>9} {'unit':<5}"
        f" {'cpu ms':>8} {'again':>5}"
    )
    for one in taken:
        if not one.values:
            yield f"{one.name:<36}   - {one.reason or 'every round was disturbed'}"
            continue
        f: Figures = figures.figures(one.values)
        yield (
            f"{one.name:<36} {f.count:>3} {f.minimum:>9.1f} {f.median:>9.1f} {f.p90:>9.1f}"
            f" {f.maximum:>9.1f} {one.unit:<5} {figures.median(one.cpu_ms):>8.0f}"
            f" {one.discarded:>5}"
        )


def _promises(found: Sequence[Verdict]) -> Iterator[str]:
    yield f"{'promise':<36} {'found':>9} {'from':>9} {'to':>9} {'limit':>9}"
    for one in found:
        sign = "≥" if one.promise.at_least else "≤"
        limit = f"{sign} {one.promise.limit:g}"
        if one.found is None:
            yield f"{one.promise.text:<36} {'-':>9} {'':>9} {'':>9} {limit:>9}  not measured"
            continue
        f = one.found
        word = "kept" if one.kept else "MISSED"
        spread = f"{f.value:>9.2f} {f.low:>9.2f} {f.high:>9.2f}"
        yield f"{one.promise.text:<36} {spread} {limit:>9}  {word}"
