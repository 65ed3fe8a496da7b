"""Rows about where an engine's time goes: which of it is podman's and conmon's, and which ours.

The runtime that podman is given is a script that notes when each verb begins and ends; what lies
between them is the engine's. The script itself costs some milliseconds of each, which is why the
whole is measured without it elsewhere (`engines`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.perf.series import Row, Unavailable
from tests.support.podman import IMAGE, Podman

WHOLE: Final = "podman run by phases, {name}"
_CREATE, _START, _DELETE = "create", "start", "delete"
_SCRIPT: Final = """\
#!/bin/bash
begun=$EPOCHREALTIME
for verb; do [[ $verb =~ ^(create|start|state|kill|delete)$ ]] && break; done
{program} "$@"
code=$?
echo "$verb $begun $EPOCHREALTIME" >>{log}
exit $code
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the runtime, in seconds since the epoch."""

    verb: str
    begun: float
    ended: float


def rows(name: str, podman: Podman, program: str, scratch: Path) -> Sequence[Row]:
    """The first row runs a container by the runtime `program`; the others read what it took."""
    noting = _Noting(podman, program, scratch / f"{name}-noting", scratch / f"{name}-calls")
    latest: dict[str, float] = {}

    def run() -> float:
        latest.clear()
        begun, calls, ended = noting.run()
        latest.update((f"  {name}: {step}", ms) for step, ms in steps(begun, calls, ended))
        return (ended - begun) * 1000

    def read(step: str) -> float:
        if step not in latest:
            raise Unavailable("there was no run to read it from")
        return latest[step]

    run()
    whole = Row(WHOLE.format(name=name), "ms", run)
    return [whole, *(Row(step, "ms", partial(read, step)) for step in latest)]


@dataclass(frozen=True, slots=True)
class _Noting:
    """podman with a runtime that notes its calls in `log`."""

    podman: Podman
    program: str
    script: Path
    log: Path

    def run(self) -> tuple[float, list[Call], float]:
        """A container from the command to its end, and the runtime's calls."""
        self.log.write_text("")
        self.script.write_text(_SCRIPT.format(program=self.program, log=self.log))
        self.script.chmod(0o755)
        using = replace(self.podman, runtime=str(self.script))
        begun = time.time()
        answer = using.box(IMAGE, "true")
        ended = time.time()
        if answer.code:
            raise Unavailable(f"podman run ended with {answer.code}: {answer.err}")
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return begun, [Call(verb, float(start), float(end)) for verb, start, end in lines], ended


def steps(begun: float, calls: Sequence[Call], ended: float) -> Iterator[tuple[str, float]]:
    """What every moment from `begun` to `ended` belongs to, in milliseconds. Adds up."""
    create, start = (_first(calls, verb) for verb in (_CREATE, _START))
    deletes = [call for call in calls if call.verb == _DELETE and call.begun < ended]
    gone = deletes[0].begun if deletes else ended
    yield "podman and conmon, until create", _ms(begun, create.begun)
    yield "the runtime's create", _ms(create.begun, create.ended)
    yield "podman, until start", _ms(create.ended, start.begun)
    yield "the runtime's start", _ms(start.begun, start.ended)
    yield "program, its end told, clean-up begins", _ms(start.ended, gone)
    done = min(deletes[-1].ended, ended) if deletes else ended
    yield "the runtime's delete", _ms(gone, done)
    yield "podman's clean-up and end", _ms(done, ended)


def _first(calls: Sequence[Call], verb: str) -> Call:
    found = next((call for call in calls if call.verb == verb), None)
    if found is None:
        raise Unavailable(f"podman did not call {verb}")
    return found


def _ms(begun: float, ended: float) -> float:
    return (ended - begun) * 1000
