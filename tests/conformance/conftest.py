"""One warm sandbox for all rows: each row is a container of its pod, run by `enclos-oci`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from enclos.plan.grouping import SANDBOX_ANNOTATIONS
from tests.conformance import rows
from tests.conformance.rows import Change
from tests.support import bundles, dockerd
from tests.support.cli import Answer, Programs
from tests.support.dockerd import Docker
from tests.vm.conftest import programs

__all__ = ["programs"]

TIMEOUT_S: Final = 200


@dataclass(frozen=True, slots=True)
class Pod:
    """A running sandbox that takes more containers."""

    programs: Programs
    id: str
    directory: Path
    numbers: Iterator[int]

    def run(self, script: str, change: Change) -> Answer:
        """`enclos-oci run` of a shell script under a changed spec, as a container of the pod."""
        name = f"{self.id}-{next(self.numbers)}"
        bundle = self.bundle(name, script, change)
        return _run(self.programs, bundle, "run", "--bundle", str(bundle), name)

    def bundle(self, name: str, script: str, change: Change) -> Path:
        """The row's bundle."""

        def changed(spec: dict[str, object]) -> None:
            spec["annotations"] = {SANDBOX_ANNOTATIONS[0]: self.id}
            change(spec)

        return bundles.make(self.directory / name, "sh", "-c", script, change=changed)


@pytest.fixture(scope="session")
def pod(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The sandbox, with a first container that does nothing."""
    made = Pod(programs, f"pod-{os.getpid()}", tmp_path_factory.mktemp("pod"), count(1))
    bundle = made.bundle(made.id, "exec sleep 10000", rows.together())
    for words in (("create", "--bundle", str(bundle), made.id), ("start", made.id)):
        answer = _run(programs, bundle, *words)
        assert answer.code == 0, answer.err
    yield made
    programs.oci("delete", "--force", made.id)


@pytest.fixture(scope="session")
def docker(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A dockerd of the session's own, with a runtime `enclos`."""
    with dockerd.running(programs, tmp_path_factory.mktemp("docker")) as running:
        yield running


def _run(programs: Programs, bundle: Path, *words: str) -> Answer:
    """With output in files: what stays running keeps its streams."""
    with (bundle / "out").open("wb") as out, (bundle / "err").open("wb") as err:
        done = subprocess.run(
            programs.oci_command(*words),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=programs.environment,
            timeout=TIMEOUT_S,
        )
    text = (bundle / "out").read_text(), (bundle / "err").read_text()
    return Answer(done.returncode, *text)
