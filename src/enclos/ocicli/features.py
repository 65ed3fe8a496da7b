"""`features`: what this runtime can do, as the specification's JSON document."""

from __future__ import annotations

from enclos.oci import features
from enclos.ocicli import report
from enclos.ocicli.parse import Invocation


def run(call: Invocation) -> int:
    """See the table."""
    del call
    report.answer(features.render() + "\n")
    return 0
