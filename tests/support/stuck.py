"""What a command that does not end is waiting for, as far as the host and the guest can tell."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support import commands, leaks

_LOG_LINES: Final = 30
_ASK_S: Final = 20
_FRAMES: Final = 4


def report(state_root: Path, ask: list[str], environment: Mapping[str, str]) -> str:
    """The machines below `state_root`: their logs' ends, what their processes wait for in the
    host's kernel, and what runs inside according to `ask` (a program of the grammar of runc)."""
    lines: list[str] = []
    for place in sorted((state_root / "sandboxes").glob("*/")):
        lines.append(f"== sandbox {place.name}")
        lines += _end_of(place / "supervisor.log")
        lines += _processes(place.name)
    for place in sorted((state_root / "containers").glob("*/")):
        lines.append(f"== container {place.name}")
        lines += _end_of(place / "oci-state")
        lines += _answer([*ask, "ps", place.name], environment)
    return "\n".join(lines)


def _end_of(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").replace("\0", " ").splitlines()[-_LOG_LINES:]
    except OSError as error:
        return [str(error)]


def _answer(command: list[str], environment: Mapping[str, str]) -> list[str]:
    try:
        answer = commands.run(command, environment=environment, timeout_s=_ASK_S)
    except subprocess.TimeoutExpired:
        return [f"{command[-2:]}: no answer within {_ASK_S} s"]
    return (answer.out + answer.err).splitlines()


def _processes(word: str) -> Iterator[str]:
    """What each thread does that has `word` in its command line or its control group's path."""
    for number in leaks.pids():
        try:
            groups = Path(f"/proc/{number}/cgroup").read_text()
            if word in leaks.command_line(number) or f"/{word}" in groups:
                yield from map(_thread, sorted(Path(f"/proc/{number}/task").iterdir()))
        except OSError:
            continue  # it has gone


def _thread(place: Path) -> str:
    """Where in the host's kernel it waits, and in which call."""
    frames = (place / "stack").read_text().splitlines()[:_FRAMES]
    names = " < ".join(frame.split()[-1].partition("+")[0] for frame in frames)
    name, call = ((place / file).read_text().strip() for file in ("comm", "syscall"))
    return f"{place.parts[2]}/{place.name} {name}: {names} {call}"
