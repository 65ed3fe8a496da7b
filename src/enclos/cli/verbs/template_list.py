"""`template list`: the templates that machines are restored from."""

from __future__ import annotations

import time
from typing import Final

from enclos.cli import output, wording
from enclos.cli.home import open_home
from enclos.cli.output import Columns
from enclos.cli.parse import Parsed
from enclos.hypervisor.qemu import template

SHORT: Final = 12
_COLUMNS: Final = Columns(
    headings={"ID": "TEMPLATE ID", "Created": "CREATED", "Touched": "TOUCHED", "State": "STATE",
              "Path": "PATH"},
    shown=("ID", "Created", "Touched", "State"),
)  # fmt: skip


def run(asked: Parsed) -> int:
    """Newest first; raises `MachineFailed` for a damaged one."""
    found = template.all_templates(open_home().data_root / "templates")[::-1]
    if asked.on("quiet"):
        output.write("".join(f"{one.key[:SHORT]}\n" for one in found))
        return 0
    listed = [
        {
            "ID": one.key[:SHORT],
            "Created": f"{wording.span(time.time() - one.created_s)} ago",
            "Touched": wording.binary_size(one.touched_bytes),
            "State": wording.binary_size(one.state_bytes),
            "Path": one.path,
        }
        for one in found
    ]
    output.listing(listed, _COLUMNS, asked.text("format"))
    return 0
