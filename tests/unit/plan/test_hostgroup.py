"""What the host's control group is told, in either version's words."""

from __future__ import annotations

import pytest

from enclos.config.settings import Settings
from enclos.oci.resources import (
    BlockIo,
    Cpu,
    Memory,
    Pids,
    Resources,
    ThrottleDevice,
    WeightDevice,
)
from enclos.plan import guestresources, hostgroup
from enclos.plan.guestresources import HostLimits
from enclos.plan.hostgroup import Room

MIB = 1 << 20
ROOM = Room(machine_bytes=512 * MIB, memory_bytes=100 * MIB, cpus=1, tasks=50)


def written(limits: HostLimits, *, unified: bool) -> list[tuple[str, str]]:
    return [
        (control.file, control.value)
        for control in hostgroup.controls(limits, ROOM, unified=unified)
    ]


@pytest.mark.parametrize("unified", [True, False])
def test_no_limits_nothing_is_written(unified: bool) -> None:  # noqa: FBT001 - a parameter
    assert written(HostLimits(), unified=unified) == []


def test_room_is_left_for_the_machine() -> None:
    limits = HostLimits(memory_bytes=64 * MIB, quota_us=50_000, processes=10)
    assert written(limits, unified=False) == [
        ("memory.limit_in_bytes", str(620 * MIB)),
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "150000"),
        ("pids.max", "60"),
    ]
    assert written(limits, unified=True) == [
        ("memory.max", str(620 * MIB)),
        ("cpu.max", "150000 100000"),
        ("pids.max", "60"),
    ]


def test_a_limit_above_the_machine_counts_itself() -> None:
    assert written(HostLimits(memory_bytes=640 * MIB), unified=True) == [
        ("memory.max", str(750 * MIB))
    ]


def test_unlimited_is_written_too() -> None:
    limits = HostLimits(memory_bytes=-1, quota_us=-1, period_us=20_000, processes=-1)
    assert written(limits, unified=False) == [
        ("memory.limit_in_bytes", "-1"),
        ("cpu.cfs_period_us", "20000"),
        ("cpu.cfs_quota_us", "-1"),
        ("pids.max", "max"),
    ]
    assert written(limits, unified=True) == [
        ("memory.max", "max"),
        ("cpu.max", "max 20000"),
        ("pids.max", "max"),
    ]


def test_weights_of_processors() -> None:
    assert written(HostLimits(shares=1024, burst_us=5000), unified=True) == [
        ("cpu.weight", "39"),
        ("cpu.max.burst", "5000"),
    ]
    assert written(HostLimits(shares=1024, idle=1), unified=False) == [("cpu.idle", "1")]
    assert written(HostLimits(shares=7, idle=0), unified=False) == [
        ("cpu.idle", "0"),
        ("cpu.shares", "7"),
    ]


@pytest.mark.parametrize(
    ("shares", "weight"), [(1, 1), (2, 1), (1024, 39), (262_144, 10_000), (10**9, 10_000)]
)
def test_shares_become_a_weight(shares: int, weight: int) -> None:
    assert hostgroup.weight_of_shares(shares) == weight


BLOCK_IO = BlockIo(
    weight=100,
    weight_device=(WeightDevice(8, 0, weight=200),),
    throttle_read_bps_device=(ThrottleDevice(8, 0, 1000),),
    throttle_write_iops_device=(ThrottleDevice(8, 16, 0),),
)


def test_block_devices_are_the_hosts() -> None:
    limits = HostLimits(block_io=BLOCK_IO)
    assert written(limits, unified=False) == [
        ("blkio.weight", "100"),
        ("blkio.weight_device", "8:0 200"),
        ("blkio.throttle.read_bps_device", "8:0 1000"),
        ("blkio.throttle.write_iops_device", "8:16 0"),
    ]
    assert written(limits, unified=True) == [
        ("io.bfq.weight", "100"),
        ("io.bfq.weight", "8:0 200"),
        ("io.max", "8:0 rbps=1000"),
        ("io.max", "8:16 wiops=max"),
    ]
    first = hostgroup.controls(limits, ROOM, unified=True)[0]
    assert first.instead == ("io.weight", "default 910")
    assert first.needed
    assert first.member == "blockIO.weight"


def test_what_only_the_host_enforces_is_needed() -> None:
    limits = HostLimits(cpus="0-1", mems="0", unified={"io.weight": "50"}, memory_bytes=MIB)
    needed = {c.file: c.needed for c in hostgroup.controls(limits, ROOM, unified=True)}
    assert needed == {
        "memory.max": False,
        "cpuset.cpus": True,
        "cpuset.mems": True,
        "io.weight": True,
    }


def test_limits_go_to_both_sides() -> None:
    asked = Resources(
        memory=Memory(limit=5 * MIB),
        cpu=Cpu(shares=1, quota=0, period=0, idle=1, cpus="0"),
        pids=Pids(-5),
    )
    divided = guestresources.divide(asked)
    assert divided.host == HostLimits(
        memory_bytes=5 * MIB, shares=2, quota_us=-1, idle=1, processes=-1, cpus="0"
    )


def test_the_room_is_a_setting() -> None:
    settings = Settings(overhead_memory_bytes=5, overhead_cpus=3, overhead_tasks=4)
    assert hostgroup.room(settings, 7) == Room(7, 5, 3, 4)
