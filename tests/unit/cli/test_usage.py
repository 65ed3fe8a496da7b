"""Figures from cgroup files, which a guest writes and nobody believes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enclos.cli import usage
from enclos.cli.lookup import Container
from enclos.cli.usage import Usage

BOX = Container("c" * 64, "running", None, None)
FILES = {
    "cpu.stat": "usage_usec 3000000\nuser_usec 1\n",
    "memory.current": "20971520\n",
    "memory.stat": "anon 1\ninactive_file 10485760\n",
    "memory.max": "104857600\n",
    "pids.current": "3\n",
    "io.stat": "254:0 rbytes=1000 wbytes=2000 rios=1\n254:16 rbytes=500\n",
    "net/dev": "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 100 1 0 0 0 0 0 0 200 2\n",
}


def test_a_row() -> None:
    before = Usage(BOX, FILES | {"cpu.stat": "usage_usec 2500000\n"}, 10**9)
    row = usage.row(Usage(BOX, FILES, 2 * 10**9), before, truncate=True)
    assert row["CPUPerc"] == "50.00%"
    assert row["MemUsage"] == "10MiB / 100MiB"
    assert row["MemPerc"] == "10.00%"
    assert row["NetIO"] == "100B / 200B"
    assert row["BlockIO"] == "1.5kB / 2kB"
    assert row["PIDs"] == 3
    assert row["ID"] == "c" * 12


def test_what_is_missing_is_nothing() -> None:
    row = usage.row(Usage(BOX, {}, 1), None, truncate=False)
    assert row["CPUPerc"] == "0.00%"
    assert row["MemUsage"] == "0B / 0B"


def test_no_limit() -> None:
    row = usage.row(Usage(BOX, FILES | {"memory.max": "max\n"}, 1), None, truncate=False)
    assert row["MemUsage"] == "10MiB / no limit"
    assert row["MemPerc"] == "0.00%"


@given(st.dictionaries(st.sampled_from(sorted(FILES)), st.text(max_size=60)))
def test_any_text_gives_a_row(files: dict[str, str]) -> None:
    assert usage.row(Usage(BOX, files, 5), Usage(BOX, files, 1), truncate=False)
