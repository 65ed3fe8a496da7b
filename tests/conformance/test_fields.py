"""Every member of the specification: what a program sees here and with runc or crun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from tests.conformance import fields_linux, fields_mounts, fields_process, fields_resources
from tests.conformance.conftest import Side
from tests.conformance.rows import NOBODY, Row, matches

ROWS: Final = (
    *fields_process.ROWS,
    *fields_mounts.ROWS,
    *fields_linux.ROWS,
    *fields_resources.ROWS,
)


def _cases() -> list[object]:
    marks = (pytest.mark.nightly,)
    return [pytest.param(row, id=row.field, marks=marks if row.nightly else ()) for row in ROWS]


@pytest.mark.parametrize("row", _cases())
def test_field(pod: Side, others: Mapping[str, Side], row: Row) -> None:
    ours = pod.run(row.script, row.change)
    assert ours.code == row.code, ours
    assert row.fits(ours.out), ours
    if row.peer == NOBODY:
        return
    if row.peer not in others:
        pytest.skip(f"no {row.peer} on this host")
    theirs = others[row.peer].run(row.script, row.change)
    if row.differs:
        assert (theirs.code, theirs.out) != (ours.code, ours.out), "it differs no more"
        assert matches(row.theirs, theirs.out), theirs
        return
    assert theirs.code == ours.code, theirs
    assert theirs.out == ours.out if row.same else row.fits(theirs.out), (ours, theirs)
    assert theirs.complaint == ours.complaint, (ours, theirs)
