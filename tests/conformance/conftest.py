"""One warm sandbox for all rows: each row is a container of its pod, run by `enclos-oci`; and
the runtimes of this machine that do the same beside it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from enclos.plan.grouping import SANDBOX_ANNOTATIONS
from tests.conformance import peers, rows
from tests.conformance.answers import Answer
from tests.conformance.peers import Runtime
from tests.conformance.rows import Change, Spec
from tests.support import bridges, bundles, dockerd
from tests.support.bridges import Bridge
from tests.support.cli import Programs
from tests.support.dockerd import Docker
from tests.vm.conftest import programs

__all__ = ["programs"]

_PROCESS: Final = ("sh", "-c", "echo by file; pwd; echo $A; exit 4")


@dataclass(frozen=True, slots=True)
class Side:
    """A runtime, and where its containers' bundles are. Ours has them in the sandbox `pod`."""

    runtime: Runtime
    directory: Path
    numbers: Iterator[int]
    pod: str = ""

    def name(self) -> str:
        """An id that nobody has had."""
        return f"{self.pod or self.runtime.name}-{os.getpid()}-{next(self.numbers)}"

    def bundle(self, name: str, script: str, change: Change) -> Path:
        """A bundle whose program is a shell script, under a changed spec."""

        def changed(spec: Spec) -> None:
            if self.pod:
                spec["annotations"] = {SANDBOX_ANNOTATIONS[0]: self.pod}
            spec["ociVersion"] = "1.0.0"  # crun 1.8 knows no later one
            change(spec)

        made = bundles.make(self.directory / name, "sh", "-c", script, change=changed)
        spec: Spec = json.loads((made / "config.json").read_text())
        process = {
            **spec["process"],
            "args": list(_PROCESS),
            "cwd": "/tmp",
            "env": ["PATH=/bin", "A=b"],
        }
        (made / "process.json").write_text(json.dumps(process))
        return made

    def run(self, script: str, change: Change) -> Answer:
        """`run` of a shell script under a changed spec; the container is gone afterwards."""
        name = self.name()
        bundle = self.bundle(name, script, change)
        try:
            return self.runtime.call("run", "--bundle", str(bundle), name, scratch=bundle)
        finally:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Delete a container that may be there."""
        if (self.directory / name).exists():
            answer = self.runtime.call("delete", "--force", name, scratch=self.directory / name)
            assert answer.code == 0, answer.err


@pytest.fixture(scope="module")
def pod(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """Our side: the sandbox, with a first container that does nothing."""
    words = programs.oci_command()
    runtime = Runtime("enclos", tuple(words), programs.environment)
    directory = tmp_path_factory.mktemp("pod")
    made = Side(runtime, directory, count(1), pod=f"pod-{os.getpid()}")
    bundle = made.bundle(made.pod, "exec sleep 10000", rows.together())
    for call in (("create", "--bundle", str(bundle), made.pod), ("start", made.pod)):
        answer = runtime.call(*call, scratch=bundle)
        assert answer.code == 0, answer.err
    yield made
    state = runtime.call("state", made.pod, scratch=bundle)
    made.forget(made.pod)
    assert state.code == 0, state
    assert json.loads(state.out)["status"] == "running"


@pytest.fixture(scope="session")
def others() -> Iterator[Mapping[str, Side]]:
    """The peers' sides, by name; where root of a user namespace gets at its root file system."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="peers-") as place:
        directory = Path(place)
        directory.chmod(0o755)
        with peers.found(directory) as found:
            yield {name: Side(one, directory, count(1)) for name, one in found.items()}


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    """A bridge of a module's own, with a namespace for it."""
    with bridges.new() as made:
        yield made


@pytest.fixture(scope="module")
def sides(pod: Side, others: Mapping[str, Side]) -> dict[str, Side]:
    """Ours and runc's."""
    if "runc" not in others:
        pytest.skip("no runc on this host")
    return {"enclos": pod, "runc": others["runc"]}


@pytest.fixture(scope="session")
def docker(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A dockerd of the session's own, with a runtime `enclos`."""
    with dockerd.running(programs, tmp_path_factory.mktemp("docker")) as running:
        yield running
