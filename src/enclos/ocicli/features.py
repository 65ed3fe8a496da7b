"""`features`: what this runtime can do, as the specification's JSON document."""

from __future__ import annotations

import sys

from enclos.oci import features
from enclos.ocicli.parse import Invocation


def run(call: Invocation) -> int:
    """See the table."""
    del call
    sys.stdout.write(features.render() + "\n")
    return 0
