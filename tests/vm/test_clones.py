"""Clones of one template differ in everything that must differ, before a container runs."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.support.cli import Programs

ALLOWED_S = 0.05
SCRIPT = (
    "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo; "
    "cat /proc/sys/kernel/random/boot_id; hostname; read line; adjtimex"
)
_CLOCK = re.compile(r"tv_sec: +(\d+).*tv_usec: +(\d+)", re.DOTALL)


@dataclass(frozen=True)
class Clone:
    """What one container said of itself, and when it was asked for the time and had told it."""

    noise: str
    boot_id: str
    hostname: str
    asked: float
    clock: float
    told: float

    @property
    def error_s(self) -> float:
        """By how much its clock is certainly wrong, whatever the way there and back took."""
        return max(0.0, self.asked - self.clock, self.clock - self.told)


def clone(programs: Programs) -> Clone:
    """Run one container and ask it."""
    command = programs.command("run", "--rm", "-i", "enclos/demo", "sh", "-c", SCRIPT)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=programs.environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        noise, boot_id, hostname = (child.stdout.readline().decode().strip() for _ in range(3))
        asked = time.time()
        child.stdin.write(b"\n")
        child.stdin.close()
        text = child.stdout.readline()
        told = time.time()
        found = _CLOCK.search((text + child.stdout.read()).decode())
    assert child.returncode in {0, 5}, "5 says that nobody disciplines the clock"
    assert found is not None
    clock = int(found[1]) + int(found[2]) / 1e6
    return Clone(noise, boot_id, hostname, asked, clock, told)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [6, pytest.param(50, marks=pytest.mark.nightly)])
def test_clones_are_so_many_machines(programs: Programs, count: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: clone(programs), range(count)))
    assert len({one.noise for one in found}) == count
    assert len({one.boot_id for one in found}) == count
    assert len({one.hostname for one in found}) == count
    assert all(len(one.noise) == 32 and one.boot_id and one.hostname for one in found)
    wrong = [one.error_s for one in found if one.error_s > ALLOWED_S]
    assert not wrong, wrong
