"""The runtimes we are compared with, runc and crun of this machine, each as a function of words.

Debian's crun refuses a hybrid layout of control groups: it works in a mount namespace without
the v2 mount. Each has a state root of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from tests.conformance.answers import Answer

TIMEOUT_S: Final = 200
_NUMBERS: Final = count()
_PURE_V1: Final = "umount -a -t cgroup2; echo ready; exec sleep infinity"


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime's command line up to its global flags; `name` is how rows call it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def call(
        self,
        *words: str,
        scratch: Path,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> Answer:
        """Run it to its end. Output goes to files, because what it starts keeps its streams."""
        number = next(_NUMBERS)
        out, err = scratch / f"stdout.{number}", scratch / f"stderr.{number}"
        with (
            (scratch / f"stdin.{number}").open("w+b") as given,
            out.open("wb") as o,
            err.open("wb") as e,
        ):
            given.write(stdin)
            given.seek(0)
            done = subprocess.run(
                [*self.command, *words],
                stdin=given,
                stdout=o,
                stderr=e,
                env={**self.environment, **(environment or {})},
                pass_fds=tuple(descriptors),
                timeout=TIMEOUT_S,
                check=False,
                cwd=scratch,
            )
        return Answer(done.returncode, out.read_text(), err.read_text())


@contextmanager
def found(scratch: Path) -> Iterator[dict[str, Runtime]]:
    """The peers that this machine has, by name."""
    environment = {"PATH": os.environ["PATH"]}
    peers: dict[str, Runtime] = {}
    with ExitStack() as stack:
        if runc := shutil.which("runc"):
            command = (runc, "--root", str(scratch / "runc"))
            peers["runc"] = Runtime("runc", command, environment)
        if crun := shutil.which("crun"):
            enter = stack.enter_context(_pure_v1())
            root = ("--root", str(scratch / "crun"))
            peers["crun"] = Runtime("crun", (*enter, crun, *root), environment)
        yield peers


@contextmanager
def _pure_v1() -> Iterator[tuple[str, ...]]:
    """The command that enters a mount namespace without a cgroup2 mount."""
    words = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _PURE_V1]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            yield ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--wdns=.")
        finally:
            holder.kill()
