"""What a command that does not end is waiting for, as far as the host and the guest can tell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_LOG_LINES: Final = 30
_ASK_S: Final = 20


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
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            timeout=_ASK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"{command[-2:]}: no answer within {_ASK_S} s"]
    return done.stdout.decode(errors="replace").splitlines()


def _processes(word: str) -> Iterator[str]:
    """Whoever has `word` in its command line, or a machine's program in our care."""
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            groups = Path(f"/proc/{number}/cgroup").read_text()
            if word not in words and f"/{word}" not in groups:
                continue
            for task in sorted(os.listdir(f"/proc/{number}/task")):
                place = Path(f"/proc/{number}/task/{task}")
                stack = " < ".join(
                    line.split()[-1].split("+")[0]
                    for line in (place / "stack").read_text().splitlines()[:4]
                )
                name = (place / "comm").read_text().strip()
                yield f"{number}/{task} {name}: {stack} {(place / 'syscall').read_text().strip()}"
        except OSError:
            continue
