"""Limits of a running pod's containers, changed both ways; figures, beside runc's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.containerd import wait_for
from tests.support.cri import Cri, Pod, api

MIB: Final = 1 << 20
PERIOD: Final = 100_000
KILLED: Final = 137


@pytest.fixture(scope="module")
def pod(cri: Cri) -> Iterator[Pod]:
    with cri.pod() as made:
        yield made


def _limits(memory: int = 0, cpus: float = 0) -> Any:
    quota = int(cpus * PERIOD)
    return api.LinuxContainerResources(
        memory_limit_in_bytes=memory, cpu_quota=quota, cpu_period=PERIOD if quota else 0
    )


def _update(pod: Pod, name: str, limits: Any) -> None:
    pod.cri("UpdateContainerResources", container_id=name, linux=limits)


def _processors(pod: Pod, name: str) -> int:
    return int(pod.exec(name, "sh", "-c", "grep -c ^processor /proc/cpuinfo")[1])


def _group(pod: Pod, name: str, file: str) -> str:
    return pod.exec(name, "cat", f"/sys/fs/cgroup/{file}")[1].strip()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the host has one CPU")
def test_cpus_come_when_limits_ask_for_them(pod: Pod) -> None:
    """The machine begins with what its first containers need, and has the rest in reserve."""
    one = pod.run("sleep", "10000", resources=_limits(cpus=0.5))
    assert _processors(pod, one) == 1
    _update(pod, one, _limits(cpus=1.5))
    assert _processors(pod, one) == 2
    assert _group(pod, one, "cpu.max") == "150000 100000"
    busy = 'for i in 1 2; do (while :; do :; done) & p="$p $!"; done; sleep 4; kill $p'
    pod.exec(one, "sh", "-c", busy)
    last = pod.exec(one, "sh", "-c", "awk '/^cpu1 /{print $2 + $4}' /proc/stat")[1]
    assert int(last) > 20, "the second CPU did nothing"
    _update(pod, one, _limits(cpus=0.25))
    assert _group(pod, one, "cpu.max") == "25000 100000"


def test_memory_up_and_down(pod: Pod) -> None:
    """A limit beyond the machine makes it grow; a lower one holds at once."""
    fill = ("dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1")
    name = pod.run("sleep", "10000", resources=_limits(memory=64 * MIB))
    assert pod.exec(name, *fill)[0] == KILLED
    before = pod.exec(name, "awk", "/MemTotal/{print $2}", "/proc/meminfo")[1]
    _update(pod, name, _limits(memory=1400 * MIB))
    assert _group(pod, name, "memory.max") == str(1400 * MIB)
    after = pod.exec(name, "awk", "/MemTotal/{print $2}", "/proc/meminfo")[1]
    assert int(after) * 1024 > 1400 * MIB > int(before) * 1024
    assert pod.exec(name, *fill)[0] == 0
    _update(pod, name, _limits(memory=48 * MIB))
    assert _group(pod, name, "memory.max") == str(48 * MIB)
    assert pod.exec(name, *fill)[0] == KILLED


@pytest.mark.nightly
def test_a_second_container_brings_cpus_along(cri: Cri) -> None:
    with cri.pod() as pod:
        one = pod.run("sleep", "10000", resources=_limits(cpus=0.75))
        assert _processors(pod, one) == 1
        pod.run("sleep", "10000", resources=_limits(cpus=0.75))
        assert _processors(pod, one) == min(2, os.cpu_count() or 1)


def test_figures_are_those_that_runc_has(cri: Cri, pod: Pod) -> None:
    """The same load gives the same fields, and like amounts of memory."""
    script = "head -c 8000000 /dev/zero >/dev/shm/x"
    told: list[Any] = []
    with cri.pod(handler="runc") as theirs:
        for one in (pod, theirs):
            name = one.run("sh", "-c", f"{script}; echo up; sleep 10000")
            _wait_up(one, name)
            stats = cri("ContainerStats", container_id=name).stats
            told.append(stats)
            of_pod = cri("PodSandboxStats", pod_sandbox_id=one.id).stats.linux
            assert of_pod.cpu.usage_core_nano_seconds.value > 0
            assert name in [each.attributes.id for each in of_pod.containers]
    ours, theirs_told = told
    for stats in told:
        assert stats.cpu.usage_core_nano_seconds.value > 0
        assert stats.cpu.timestamp > 0
        assert 0 < stats.memory.working_set_bytes.value < 200 * MIB
    assert _fields(ours) == _fields(theirs_told)


def _fields(stats: Any) -> list[str]:
    return sorted(
        f"{part}.{entry.name}"
        for part in ("cpu", "memory", "attributes")
        for entry, _ in getattr(stats, part).ListFields()
    )


def _wait_up(pod: Pod, name: str) -> None:
    wait_for(lambda: pod.log(name) == ["up"], pod.cri.daemon.log)
