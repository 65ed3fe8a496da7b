"""`plan`: print what `create` would do, and do nothing."""

from __future__ import annotations

import os
from pathlib import Path

from enclos.config import facts, load
from enclos.linux import files
from enclos.oci import validate
from enclos.oci.load import load_spec
from enclos.ocicli import report
from enclos.ocicli.parse import Invocation
from enclos.plan import sandbox

_SPEC_BYTES = 16 << 20


def run(call: Invocation) -> int:
    """See the table."""
    path = Path(call.arguments[0] if call.arguments else ".").absolute()
    spec = load_spec(files.read_bounded(path / "config.json", _SPEC_BYTES))
    validate.validate(spec)
    plan = sandbox.plan_sandbox(
        spec,
        container_id=path.name or "container",
        bundle=os.fspath(path),
        settings=load.settings(),
        host=facts.gather(),
    )
    report.answer(sandbox.render(plan) + "\n")
    return 0
