"""The programs as their users run them: a process, its output, its exit code.

Every test session has a state root of its own; images, assets and templates are kept in a data
root outside the tree, so that a template is made once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support import commands, leaks, stuck
from tests.support.commands import Answer

TREE: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Programs:
    """`enclos` and `enclos-oci` with the state root and data root of this session."""

    state_root: Path
    data_root: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def scope(self) -> leaks.Scope:
        """Where to look for what a test of these programs may leave behind."""
        return leaks.Scope(
            roots=(self.state_root, self.data_root / "containers"),
            words=(),
            alone=leaks.alone(),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the programs' environment is, near enough to a user's."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": os.fspath(TREE / "src"),
            "ENCLOS_STATE_ROOT": os.fspath(self.state_root),
            "ENCLOS_DATA_ROOT": os.fspath(self.data_root),
            "ENCLOS_EMULATION_NOTICE": "false",
            **self.settings,
        }

    def command(self, *words: str | Path) -> list[str]:
        """`enclos WORDS…` as an argument list."""
        return [sys.executable, "-m", "enclos.cli", *map(str, words)]

    def oci_command(self, *words: str | Path) -> list[str]:
        """`enclos-oci WORDS…` as an argument list."""
        root = os.fspath(self.state_root)
        return [sys.executable, "-m", "enclos.ocicli", "--root", root, *map(str, words)]

    def enclos(self, *words: str | Path, stdin: bytes | None = None) -> Answer:
        """Run `enclos WORDS…` to its end."""
        return self.run(self.command(*words), stdin=stdin)

    def oci(self, *words: str | Path, stdin: bytes | None = None) -> Answer:
        """Run `enclos-oci WORDS…` to its end."""
        return self.run(self.oci_command(*words), stdin=stdin)

    def run(self, command: Sequence[str], *, stdin: bytes | None = None) -> Answer:
        """Run a command of ours to its end; what holds it up is told if that does not come."""
        try:
            return commands.run(command, environment=self.environment, stdin=stdin)
        except subprocess.TimeoutExpired as error:
            error.add_note(stuck.report(self.state_root, self.oci_command(), self.environment))
            raise

    def ok(self, *words: str | Path, stdin: bytes | None = None) -> str:
        """Run `enclos WORDS…`, which must succeed; what it printed."""
        answer = self.enclos(*words, stdin=stdin)
        assert answer.code == 0, f"enclos {words} ended with {answer.code}: {answer.err}"
        return answer.out

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """`enclos WORDS…` in the background, with pipes."""
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )
