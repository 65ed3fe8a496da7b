"""The agent: PID 1 of the guest. Prepares the machine, opens the port, serves until power-off.

Runs on the standard library of the guest's Python (`-I -S`), from byte code. Paths are plain
strings here: every import is paid for at each cold boot and lies in every template.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from typing import Final

from enclos.guest import boot, console, power
from enclos.guest.agent import Agent
from enclos.guest.channel import Channel
from enclos.guest.devices import managed_bytes
from enclos.guest.loop import Loop
from enclos.guest.reaper import Reaper
from enclos.guest.service import Service
from enclos.guest.streams import Streams
from enclos.wire.messages import Hello

VERSION_FILE: Final = "/etc/enclos/version"


def main() -> None:
    """Serve; never returns. What goes wrong here is said on the console, and ends the machine."""
    try:
        boot.prepare()
        _serve()
    except BaseException:  # noqa: BLE001 - the edge of everything: a machine without agent is useless
        console.say(traceback.format_exc())
        power.off()


def _serve() -> None:
    with open(VERSION_FILE, encoding="ascii") as file:
        version = file.read().strip()
    # Who shares the machine's pid namespace may send us this; Python would raise.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not to be woken by every write of a container: it fills its pipe before we empty it. Under
    # emulation, where switching between processes is what costs, that doubles the throughput.
    os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    loop = Loop()
    service = Service()
    channel = Channel(loop, boot.open_port(), service.take)
    agent = Agent(loop, channel, Streams(loop, channel), Reaper(loop), version, managed_bytes())
    service.serve(agent)
    agent.say("ready", Hello(version, os.uname().release, time.monotonic_ns()))
    loop.run()


if __name__ == "__main__":
    main()
