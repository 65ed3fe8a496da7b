"""Other programs: run one to its end, or keep one running for a while.

The only user of `subprocess`, which is imported by the first call. For handles of processes
that somebody else started see `pid` and `pidfd`; for forks of our own `fork` and `jail`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from enclos.errors import HostUnfit, MachineFailed, TimedOut
from enclos.structs import dataclass

if TYPE_CHECKING:
    import subprocess

_DIRECTORIES: Final = (
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
)  # fmt: skip
_TAIL_LINES: Final = 20
_TAIL_BYTES: Final = 4096
_TERMINATION_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: its status (negative: minus the signal) and what it wrote."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes


def find(program: str, *, package: str = "") -> str:
    """The path of `program`; raises `HostUnfit`, naming Debian's `package`, if there is none.

    Looks where PATH says and then in the usual places: engines call with an empty environment.
    """
    if "/" in program:
        candidates = [program]
    else:
        candidates = [f"{place}/{program}" for place in (*os.get_exec_path(), *_DIRECTORIES)]
    for candidate in candidates:
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise HostUnfit(
        f"program {program} is not installed",
        hint=f"run: apt-get install {package or os.path.basename(program)}",
    )


def run(
    argv: Sequence[str],
    *,
    input_bytes: bytes | None = None,
    stdout: int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
    package: str = "",
    name: str = "",
) -> Completed:
    """Run `argv` to its end. Without `input_bytes` its stdin is /dev/null.

    The program finds `name` as its own, if given, and else its path. Output is captured;
    `stdout` sends it to a descriptor instead. Raises `HostUnfit` if the program is missing
    (`package` is the hint), `TimedOut` after killing it, and, if `check`,
    `MachineFailed` with the end of its error output for a status other than 0.
    """
    import subprocess

    program = find(argv[0], package=package)
    try:
        done = subprocess.run(
            [name or program, *argv[1:]],
            executable=program,
            input=input_bytes,
            stdin=subprocess.DEVNULL if input_bytes is None else None,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            timeout=timeout_s,
            pass_fds=tuple(pass_fds),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{argv[0]} did not end within {timeout_s:g} s") from error
    except OSError as error:
        raise MachineFailed(f"cannot run {argv[0]}: {error}") from error
    completed = Completed(tuple(argv), done.returncode, done.stdout or b"", done.stderr or b"")
    if check:
        check_status(completed)
    return completed


def check_status(completed: Completed) -> None:
    """Raise `MachineFailed`, with the end of the error output, for a status other than 0."""
    if completed.status == 0:
        return
    lines = _tail(completed.stderr or completed.stdout)
    how = f"signal {-completed.status}" if completed.status < 0 else f"status {completed.status}"
    last = f": {lines[-1]}" if lines else ""
    raise MachineFailed(
        f"{os.path.basename(completed.argv[0])} failed with {how}{last}",
        detail="\n".join([" ".join(completed.argv)[:500], *lines]),
    )


def _tail(output: bytes) -> list[str]:
    text = output[-_TAIL_BYTES:].decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]


@contextmanager
def running(
    argv: Sequence[str],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    package: str = "",
) -> Iterator[subprocess.Popen[bytes]]:
    """`argv` running while the context lasts; then terminated, and killed if that is no help.

    Streams that are None become pipes (stdin: /dev/null). Raises as `run` does when it cannot
    start; how it ends is for the caller to read.
    """
    import subprocess

    try:
        child = subprocess.Popen(
            [find(argv[0], package=package), *argv[1:]],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr,
            cwd=cwd,
            env=env,
            pass_fds=tuple(pass_fds),
        )
    except OSError as error:
        raise MachineFailed(f"cannot run {argv[0]}: {error}") from error
    with child:
        try:
            yield child
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    import subprocess

    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_TERMINATION_S)
    except subprocess.TimeoutExpired:
        child.kill()


def lines(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    package: str = "",
) -> Iterator[str]:
    """Every line the program writes to stdout or stderr, as it comes; for progress.

    Raises as `run` does, after the last line, with the last lines as detail.
    """
    import subprocess

    kept: list[str] = []
    with running(argv, stderr=subprocess.STDOUT, cwd=cwd, env=env, package=package) as child:
        output = child.stdout
        if output is not None:
            for line in _decoded(output):
                kept = [*kept[-_TAIL_LINES:], line]
                yield line
        status = child.wait()
    check_status(Completed(tuple(argv), status, b"", "\n".join(kept).encode()))


def _decoded(stream: IO[bytes]) -> Iterator[str]:
    for raw in stream:
        yield raw.decode("utf-8", "replace").rstrip("\r\n")
