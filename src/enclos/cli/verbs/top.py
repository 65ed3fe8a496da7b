"""`top`: the processes of a container, as the guest numbers them."""

from __future__ import annotations

from typing import Final

from enclos.cli import lookup, output
from enclos.cli.home import open_home
from enclos.cli.output import Columns
from enclos.cli.parse import Parsed
from enclos.errors import WrongState
from enclos.sandbox import ask
from enclos.wire.messages import Process

_TICKS: Final = 100
_COLUMNS: Final = Columns(
    headings={"UID": "UID", "PID": "PID", "PPID": "PPID", "State": "S", "TTY": "TTY",
              "Time": "TIME", "RSS": "RSS", "Command": "CMD"},
    shown=("UID", "PID", "PPID", "State", "TTY", "Time", "Command"),
)  # fmt: skip


def run(asked: Parsed) -> int:
    """One row for each process."""
    home = open_home()
    container = lookup.find(home, asked.operands[0])
    if not container.running:
        raise WrongState(f"container {container.name} is not running", hint="see: enclos ps --all")
    found = ask.processes(home.root, container.id).rows
    output.listing([_row(process) for process in found], _COLUMNS, asked.text("format"))
    return 0


def _row(process: Process) -> dict[str, object]:
    minutes, seconds = divmod(process.cpu_ticks // _TICKS, 60)
    hours, minutes = divmod(minutes, 60)
    return {
        "UID": process.uid,
        "PID": process.pid,
        "PPID": process.parent,
        "State": process.state,
        "TTY": process.terminal,
        "Time": f"{hours:02d}:{minutes:02d}:{seconds:02d}",
        "RSS": process.rss_bytes,
        "Command": process.command,
    }
