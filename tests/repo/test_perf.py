"""The benchmark runs with the host's Python, as the product does, and has nothing else."""

from __future__ import annotations

import subprocess
import sys

from tests.repo import tree

_WITHOUT = (
    "import sys; sys.modules.update(pytest=None, hypothesis=None); import tests.perf.__main__"
)


def test_the_benchmark_needs_none_of_the_tests_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT],
        env={"PYTHONPATH": f"{tree.ROOT / 'src'}:{tree.ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
