"""The statistics object that go-runc reads, from what a guest says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.ocicli import events, figures
from enclos.plan.guestfigures import MOST

FILES = {
    "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 6\n"
    "throttled_usec 4\n",
    "cpu.pressure": "some avg10=1.50 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.00 total=0\n",
    "cpuset.cpus.effective": "0-1,3\n",
    "memory.current": "1000\n",
    "memory.max": "2000\n",
    "memory.peak": "1500\n",
    "memory.swap.current": "10\n",
    "memory.swap.max": "max\n",
    "memory.stat": "file 400\nkernel 30\nsock 2\n",
    "memory.events": "low 0\nmax 8\noom 1\noom_kill 1\n",
    "pids.current": "3\n",
    "pids.max": "max\n",
    "io.stat": "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
    "hugetlb.2MB.current": "0\n",
    "hugetlb.2MB.max": "2097152\n",
    "hugetlb.2MB.events": "max 9\n",
    "net/dev": "Inter-| x\n face |bytes\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
}


def test_the_schema() -> None:
    found = figures.stats(FILES)
    assert found["cpu"] == {
        "usage": {"total": 5000, "kernel": 2000, "user": 3000},
        "throttling": {"periods": 7, "throttledPeriods": 6, "throttledTime": 4000},
        "psi": {
            "some": {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 12},
            "full": {"avg10": 0.0, "total": 0},
        },
    }
    assert found["cpuset"] == {"cpus": [0, 1, 3]}
    memory = found["memory"]
    assert memory["cache"] == 400
    assert memory["usage"] == {"limit": 2000, "usage": 1000, "max": 1500, "failcnt": 8}
    assert memory["swap"] == {"limit": MOST, "usage": 1010, "failcnt": 0}
    assert memory["kernel"]["usage"] == 30
    assert memory["kernelTCP"]["usage"] == 2
    assert memory["raw"] == {"file": 400, "kernel": 30, "sock": 2}
    assert found["pids"] == {"current": 3, "limit": 0}
    sizes = found["blkio"]["ioServiceBytesRecursive"]
    assert sizes[1] == {"major": 8, "minor": 16, "op": "Write", "value": 2}
    assert [one["value"] for one in found["blkio"]["ioServicedRecursive"]] == [3, 4, 6]
    assert found["hugetlb"] == {"2MB": {"usage": 0, "max": 2097152, "failcnt": 9}}
    (interface,) = found["network_interfaces"]
    assert interface["Name"] == "eth0"
    assert [interface[key] for key in ("RxBytes", "RxDropped", "TxBytes", "TxDropped")] == [
        1, 4, 9, 12,
    ]  # fmt: skip


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [one for item in value.values() for one in numbers(item)]
    if isinstance(value, list):
        return [one for item in value for one in numbers(item)]
    return [value] if isinstance(value, int | float) else []


@given(st.dictionaries(st.sampled_from(sorted(FILES)), st.text(max_size=80)))
def test_whatever_the_guest_says_it_is_an_object(files: dict[str, str]) -> None:
    found = figures.stats(files)
    json.dumps(found)
    assert all(0 <= number <= 1000 * MOST for number in numbers(found))


@pytest.mark.parametrize("text", ["5-1", "-", ",", "1,,2", "٣-x", "9999999999-99999999999"])
def test_a_cpu_list_of_nonsense_is_none(text: str) -> None:
    assert figures.stats({"cpuset.cpus.effective": text})["cpuset"] == {"cpus": []}


def test_a_cpu_list_is_bounded() -> None:
    (found,) = figures.stats({"cpuset.cpus.effective": "0-99999999999"})["cpuset"].values()
    assert len(found) == 4096


@pytest.mark.parametrize(
    ("text", "wanted"), [("5s", 5), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("7us", 7e-6)]
)
def test_durations_are_written_as_go_writes_them(text: str, wanted: float) -> None:
    assert events.seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "5", "s", "0s", "-1s", "5 s", "5sx", "٣s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--interval"):
        events.seconds(text)
