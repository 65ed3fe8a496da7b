"""Bytes through the whole path: exact, in order, with an end, and never piled up on the way."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from enclos.state import records
from enclos.state.store import StateRoot
from tests.support.cli import Programs
from tests.vm.conftest import Keep

MIB = 1 << 20
BIG = 64 * MIB
FLAT = 12 * MIB
"""How much a process may grow while a stream stands still: windows, pipes, an arena or two."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with 64 MiB of noise in `noise`."""
    place = tmp_path_factory.mktemp("data")
    with (place / "noise").open("wb") as file:
        for _ in range(BIG // MIB):
            file.write(os.urandom(MIB))
    return place


@pytest.fixture(scope="module")
def box(keep: Keep, data: Path) -> str:
    """A container that sees the noise."""
    return keep("-v", f"{data}:/data")


@contextmanager
def started(programs: Programs, *words: str) -> Iterator[Pipes]:
    """`enclos exec` with pipes, unbuffered; killed in the end if it still runs."""
    with subprocess.Popen(
        programs.command("exec", *words),
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=programs.environment,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield Pipes(child, child.stdin, child.stdout)
        finally:
            child.kill()


@dataclass(frozen=True)
class Pipes:
    """A program and the other ends of its streams."""

    child: subprocess.Popen[bytes]
    into: IO[bytes]
    out: IO[bytes]

    def wait(self) -> int:
        """Its exit status."""
        return self.child.wait(timeout=60)


def digest_of_output(programs: Programs, *words: str) -> tuple[str, int]:
    """What `enclos exec WORDS` prints, hashed as it comes."""
    found, size = hashlib.sha256(), 0
    with started(programs, *words) as pipes:
        while piece := pipes.out.read(MIB):
            found.update(piece)
            size += len(piece)
        assert pipes.wait() == 0
    return found.hexdigest(), size


def test_64_mib_come_out_as_they_are(programs: Programs, box: str, data: Path) -> None:
    with (data / "noise").open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest_of_output(programs, box, "cat", "/data/noise") == (expected, BIG)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_a_gibibyte_comes_out_as_it_is(programs: Programs, box: str, data: Path) -> None:
    expected = hashlib.sha256()
    noise = (data / "noise").read_bytes()
    for _ in range(16):
        expected.update(noise)
    script = "for i in $(seq 16); do cat /data/noise; done"
    found = digest_of_output(programs, box, "sh", "-c", script)
    assert found == (expected.hexdigest(), 16 * BIG)


def test_64_mib_go_in_as_they_are(programs: Programs, box: str, data: Path) -> None:
    with (data / "noise").open("rb") as file:
        subprocess.run(
            programs.command("exec", "-i", box, "sh", "-c", "cat > /data/back"),
            stdin=file, env=programs.environment, check=True, timeout=200,
        )  # fmt: skip
    assert (data / "back").read_bytes() == (data / "noise").read_bytes()


def test_the_end_of_input_is_passed_on(programs: Programs, box: str) -> None:
    assert programs.ok("exec", "-i", box, "cat", stdin=b"") == ""
    assert programs.ok("exec", "-i", box, "sh", "-c", "cat; echo over", stdin=b"x") == "xover\n"


def test_a_program_may_end_before_its_input(programs: Programs, box: str) -> None:
    with started(programs, "-i", box, "head", "-n", "1") as pipes:
        pipes.into.write(b"line\n")
        assert pipes.wait() == 0
        assert pipes.out.read() == b"line\n"


def test_a_reader_that_goes_away_ends_the_writer(programs: Programs, box: str) -> None:
    with started(programs, box, "cat", "/dev/zero") as pipes:
        pipes.out.read(1)
        pipes.out.close()
        begun = time.monotonic()
        assert pipes.wait() != 0
        assert time.monotonic() - begun < 10


def memory_of(programs: Programs, container: str) -> int:
    """Resident bytes of the container's supervisor."""
    supervisor = records.load_sandbox(StateRoot(programs.state_root), container).supervisor_pid
    fields = Path(f"/proc/{supervisor}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def available(programs: Programs, container: str) -> int:
    """Memory that the guest could still give out."""
    lines = programs.ok("exec", container, "cat", "/proc/meminfo").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def test_a_slow_reader_makes_nobody_grow(programs: Programs, box: str) -> None:
    before, free = memory_of(programs, box), available(programs, box)
    with started(programs, box, "cat", "/dev/zero") as pipes:
        assert pipes.out.read(1) == b"\0"
        time.sleep(3)  # at full speed this would be hundreds of megabytes
        assert memory_of(programs, box) < before + FLAT
        assert available(programs, box) > free - 4 * FLAT
        for _ in range(100):
            assert len(pipes.out.read(MIB))
        assert memory_of(programs, box) < before + FLAT
        pipes.out.close()
        assert pipes.wait() != 0


def test_a_slow_program_makes_nobody_grow(programs: Programs, box: str, data: Path) -> None:
    before, free = memory_of(programs, box), available(programs, box)
    with (data / "noise").open("rb") as file:
        child = subprocess.Popen(
            programs.command("exec", "-i", box, "sh", "-c", "sleep 3; cat | wc -c"),
            stdin=file, stdout=subprocess.PIPE, env=programs.environment,
        )  # fmt: skip
        time.sleep(2)
        try:
            assert memory_of(programs, box) < before + FLAT
            assert available(programs, box) > free - 4 * FLAT
        finally:
            out, _ = child.communicate(timeout=120)
    assert int(out) == BIG
