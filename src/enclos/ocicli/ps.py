"""`ps`: the guest's processes as a table; as JSON the pids that stand for them on the host."""

from __future__ import annotations

import json
import time

from enclos.errors import InvalidRequest
from enclos.ocicli import report, where
from enclos.ocicli.parse import Invocation
from enclos.sandbox import ask, reach
from enclos.state import records
from enclos.wire.messages import Process

_TICKS_PER_SECOND = 100


def run(call: Invocation) -> int:
    """See the table."""
    root, name = where.root(call), call.arguments[0]
    if call.flags.text("format") == "json":
        record, _ = reach.living(root, name)
        stand_ins = [record.process, *(one.process for one in records.all_execs(root, name))]
        report.answer(json.dumps([one.pid for one in stand_ins if one.alive()]) + "\n")
        return 0
    if call.arguments[1:] not in ((), ("-ef",)):
        raise InvalidRequest(
            f"ps option {call.arguments[1][:80]!r} is not supported",
            hint="the guest's table has the columns of ps -ef only",
        )
    told = ask.processes(root, name)
    lines = "".join(_line(row, told.now_ticks) for row in told.rows)
    report.answer(f"UID          PID    PPID  C STIME TTY          TIME CMD\n{lines}")
    return 0


def _line(row: Process, now_ticks: int) -> str:
    """As `ps -ef` writes it, but with numbers for users: names are the image's."""
    age_ticks = max(now_ticks - row.start_ticks, 1)
    used = min(row.cpu_ticks * 100 // age_ticks, 99)
    seconds = row.cpu_ticks // _TICKS_PER_SECOND
    cpu = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    started = time.localtime(time.time() - age_ticks / _TICKS_PER_SECOND)
    today = age_ticks < _TICKS_PER_SECOND * 86400
    return (
        f"{row.uid:<8} {row.pid:>7} {row.parent:>7} {used:>2} "
        f"{time.strftime('%H:%M' if today else '%b%d', started)} {row.terminal:<8} {cpu} "
        f"{row.command}\n"
    )
