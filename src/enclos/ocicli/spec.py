"""`spec`: write a config.json to begin with."""

from __future__ import annotations

import os
from pathlib import Path

from enclos.errors import Exists, InvalidRequest
from enclos.oci import default
from enclos.oci.load import dump_spec
from enclos.ocicli.parse import Invocation


def run(call: Invocation) -> int:
    """See the table."""
    path = Path(call.flags.text("bundle", ".")) / "config.json"
    rootless = call.flags.on("rootless")
    spec = (
        default.rootless_spec(uid=os.geteuid(), gid=os.getegid())
        if rootless
        else default.default_spec()
    )
    text = dump_spec(spec, indent=4)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError as error:
        raise Exists(f"file {path} exists", hint="remove it first") from error
    except OSError as error:
        raise InvalidRequest(f"cannot write {path}: {error}") from error
    return 0
