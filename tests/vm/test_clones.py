"""Clones of one template differ in everything that must differ, before a container runs."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.cli import Programs

COUNT = int(os.environ.get("ENCLOS_TEST_CLONES", "50"))
SCRIPT = (
    "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo; "
    "cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id 2>/dev/null || echo none; hostname; "
    "date +%s.%N"
)


@pytest.mark.timeout(1200)
def test_fifty_clones_are_fifty_machines(programs: Programs) -> None:
    def clone(_: int) -> tuple[list[str], float, float]:
        before = time.time()
        lines = programs.ok("run", "--rm", "enclos/demo", "sh", "-c", SCRIPT).splitlines()
        return lines, before, time.time()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(clone, range(COUNT)))
    for column in (0, 1, 3):
        assert len({lines[column] for lines, _, _ in found}) == COUNT
    for lines, before, after in found:
        assert before - 0.05 <= float(lines[-1]) <= after + 0.05


def test_the_clock_is_the_hosts_within_50_ms(programs: Programs) -> None:
    """Measured across one exec round trip, whose middle is when the guest looked."""
    container = programs.ok("run", "-d", "enclos/demo", "sleep", "1000").strip()
    try:
        errors: list[float] = []
        for _ in range(5):
            before = time.time()
            said = float(programs.ok("exec", container, "date", "+%s.%N"))
            after = time.time()
            errors.append(max(0.0, before - said, said - after))
        assert min(errors) < 0.05
    finally:
        programs.ok("rm", "-f", container)


