from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.config.settings import Settings
from enclos.errors import InvalidRequest
from enclos.oci.resources import Cpu, Memory, Resources
from enclos.plan import machine
from enclos.plan.machine import (
    MEMORY_BLOCK_BYTES,
    MachinePlan,
    check_docker_minimum,
    plan_machine,
)

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Host:
    cores: int = 4
    memory_bytes: int = 16 * GIB


def memory(limit: int | None, host: Host = Host(), **settings: Any) -> MachinePlan:
    wanted = replace(Settings(), **settings)
    return plan_machine(Resources(memory=Memory(limit=limit)), settings=wanted, host=host)


def vcpus(cpu: Cpu, host: Host = Host(), **settings: Any) -> int:
    wanted = replace(Settings(), **settings)
    return plan_machine(Resources(cpu=cpu), settings=wanted, host=host).vcpus


def test_the_default_where_nothing_is_limited() -> None:
    for resources in (None, Resources(), Resources(memory=Memory(limit=-1))):
        found = plan_machine(resources, settings=Settings(), host=Host())
        assert found == MachinePlan(256 * MIB, 768 * MIB, 1)
        assert found.memory_bytes == GIB


@pytest.mark.parametrize(
    ("limit", "machine"),
    [
        (1024, 256 * MIB),
        (64 * MIB, 256 * MIB),
        (512 * MIB, 768 * MIB),
        (2 * GIB, 2 * GIB + 256 * MIB),
    ],
)
def test_a_limit_can_be_reached(limit: int, machine: int) -> None:
    found = memory(limit)
    assert found.memory_bytes == machine
    assert not found.notes


def test_more_than_the_host_has_is_capped_with_a_note() -> None:
    found = memory(64 * GIB)
    assert found.memory_bytes == 16 * GIB
    assert "no more than" in found.notes[0]


def test_a_maximum_of_ones_own() -> None:
    assert memory(8 * GIB, max_memory_bytes=2 * GIB).memory_bytes == 2 * GIB
    assert memory(None, max_memory_bytes=512 * MIB).memory_bytes == 512 * MIB


def test_the_base_is_always_there() -> None:
    assert memory(8 * GIB, Host(memory_bytes=100 * MIB)).memory_bytes == 256 * MIB


@given(st.integers(1, 1 << 62), st.integers(MIB, 1 << 45))
def test_every_machine_can_be_built(limit: int, host: int) -> None:
    found = memory(limit, Host(memory_bytes=host))
    assert found.hotplug_bytes % MEMORY_BLOCK_BYTES == 0
    assert found.hotplug_bytes >= 0
    most = max(host, found.base_memory_bytes) + MEMORY_BLOCK_BYTES
    assert found.memory_bytes <= most
    assert found.notes or found.memory_bytes > limit


@pytest.mark.parametrize(
    ("cpu", "count"),
    [
        (Cpu(), 1),
        (Cpu(quota=0), 1),
        (Cpu(quota=-1, period=100_000), 1),
        (Cpu(quota=50_000, period=100_000), 1),
        (Cpu(quota=150_000, period=100_000), 2),
        (Cpu(quota=200_000), 2),
        (Cpu(quota=1_000_000, period=10_000), 4),
        (Cpu(cpus="0-2"), 3),
        (Cpu(cpus="1,3"), 2),
        (Cpu(cpus="0-2", quota=150_000), 2),
        (Cpu(cpus="1", quota=350_000), 1),
    ],
)
def test_vcpus(cpu: Cpu, count: int) -> None:
    assert vcpus(cpu) == count


def test_vcpus_have_limits_too() -> None:
    assert vcpus(Cpu(quota=400_000), max_vcpus=2) == 2
    assert vcpus(Cpu(), default_vcpus=3) == 3
    assert vcpus(Cpu(), default_vcpus=0) == 1
    plan = plan_machine(Resources(cpu=Cpu(cpus="0-7")), settings=Settings(), host=Host())
    assert plan.notes == ("8 CPUs: the machine gets no more than 4",)


def test_docker_has_a_least_limit() -> None:
    for fine in (0, 6 * MIB, 1 << 60):
        check_docker_minimum(fine)
    with pytest.raises(InvalidRequest, match="minimum memory limit allowed is 6MB"):
        check_docker_minimum(1024)


def test_a_running_machine_grows_for_all_its_containers() -> None:
    settings, now = Settings(), 512 * MIB

    def grown(*limits: int | None) -> int:
        return machine.grown(limits, now, settings=settings, host=Host())

    assert grown() == now
    assert grown(None, -1, 0) == now
    assert grown(64 * MIB) == now
    assert grown(512 * MIB, 512 * MIB, None) == 1280 * MIB
    assert grown(10**15) <= Host().memory_bytes


def grown(*cpus: Cpu | None, now: int = 1, host: Host = Host()) -> int:
    return machine.grown_vcpus(cpus, now, settings=Settings(), host=host)


def test_cpus_are_added_up() -> None:
    half, two = Cpu(quota=50_000, period=100_000), Cpu(quota=200_000)
    assert grown() == 1
    assert grown(None, Cpu(), Cpu(quota=-1)) == 1
    assert grown(half, half) == 1
    assert grown(half, two) == 3
    assert grown(two, two, two) == 4, "the host has no more"
    assert grown(Cpu(cpus="0-2"), half) == 3
    parts = (Cpu(quota=us) for us in (10_000, 10_000, 220_000, 60_000))
    assert grown(*parts, host=Host(cores=8)) == 3, "exactly, whatever fractions add up to"
    assert grown(Cpu(quota=30_000, period=30_000), half, half) == 2


def test_no_cpu_is_taken_away() -> None:
    assert grown(Cpu(quota=50_000), now=3) == 3


def test_a_machine_that_others_join_has_cpus_in_reserve() -> None:
    def spare(cores: int, cpu: Cpu, **settings: Any) -> int:
        wanted = replace(Settings(), **settings)
        plan = plan_machine(Resources(cpu=cpu), settings=wanted, host=Host(cores=cores), grows=True)
        return plan.spare_vcpus

    assert spare(4, Cpu()) == 3
    assert spare(64, Cpu()) == machine.GROWS_TO - 1
    assert spare(64, Cpu(quota=1_200_000)) == 0
    assert spare(4, Cpu(), max_vcpus=2) == 1
    assert plan_machine(None, settings=Settings(), host=Host()).spare_vcpus == 0
