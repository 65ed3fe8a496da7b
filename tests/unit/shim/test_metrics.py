"""Figures of several containers together."""

from __future__ import annotations

from enclos.plan.guestfigures import MOST
from enclos.shim import metrics
from enclos.shim.proto import metrics1_pb2, metrics2_pb2

FILES = {
    "cpu.stat": "usage_usec 7\n",
    "memory.current": "100\n",
    "memory.max": "max\n",
    "pids.current": "2\n",
    "net/dev": "eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n",
}


def test_the_sums_in_both_forms() -> None:
    two = metrics.version2(FILES)
    found = metrics.total(metrics2_pb2.Metrics, [two, two, two])
    assert isinstance(found, metrics2_pb2.Metrics)
    assert (found.cpu.usage_usec, found.memory.usage, found.pids.current) == (21, 300, 6)
    assert found.memory.usage_limit == MOST
    assert not found.network
    one = metrics.total(metrics1_pb2.Metrics, [metrics.version1(FILES)] * 2)
    assert isinstance(one, metrics1_pb2.Metrics)
    assert one.memory.usage.usage == 200


def test_of_nothing_there_are_no_figures() -> None:
    assert metrics.total(metrics2_pb2.Metrics, []) == metrics2_pb2.Metrics()
