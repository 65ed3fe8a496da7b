"""New limits on top of old ones."""

from __future__ import annotations

from enclos.oci.resources import (
    BlockIo,
    Cpu,
    HugepageLimit,
    Memory,
    Pids,
    Resources,
    ThrottleDevice,
    WeightDevice,
)
from enclos.plan import changes

OLD = Resources(
    memory=Memory(limit=100, swap=200),
    cpu=Cpu(shares=5, quota=1000, period=2000, cpus="0-1", burst=7, idle=1),
    pids=Pids(9),
    block_io=BlockIo(
        weight=10,
        weight_device=(WeightDevice(8, 0, weight=20),),
        throttle_read_bps_device=(ThrottleDevice(8, 0, 1), ThrottleDevice(8, 1, 2)),
    ),
    hugepage_limits=(HugepageLimit("2MB", 5), HugepageLimit("1GB", 6)),
    unified={"memory.high": "1", "pids.max": "2"},
)


def test_nothing_new_changes_nothing() -> None:
    assert changes.merge(OLD, Resources()) == OLD
    assert changes.merge(Resources(), OLD) == OLD
    assert changes.told(OLD, Resources()) == Resources()


def test_what_is_not_named_stays() -> None:
    new = Resources(memory=Memory(limit=150), cpu=Cpu(quota=-1, cpus="1"), pids=Pids(-1))
    merged = changes.merge(OLD, new)
    assert merged.memory == Memory(limit=150, swap=200)
    assert merged.cpu == Cpu(shares=5, quota=-1, period=2000, cpus="1", burst=7, idle=1)
    assert merged.pids == Pids(-1)
    assert merged.block_io == OLD.block_io


def test_a_raised_limit_takes_that_of_memory_and_swap_along() -> None:
    def merged(limit: int, swap: int | None = None) -> Memory | None:
        return changes.merge(OLD, Resources(memory=Memory(limit=limit, swap=swap))).memory

    assert merged(300) == merged(300, 0) == Memory(limit=300, swap=300)
    assert merged(200) == Memory(limit=200, swap=200)
    assert merged(300, 250) == Memory(limit=300, swap=250)  # for the rules to refuse
    assert merged(300, -1) == Memory(limit=300, swap=-1)


def test_zero_is_as_it_was_but_for_idle_and_burst() -> None:
    zeros = Resources(
        memory=Memory(limit=0, swap=0),
        cpu=Cpu(shares=0, quota=0, period=0, burst=0, idle=0),
        pids=Pids(0),
        block_io=BlockIo(weight=0),
    )
    merged = changes.merge(OLD, zeros)
    assert merged.memory == OLD.memory
    assert merged.cpu == Cpu(shares=5, quota=1000, period=2000, cpus="0-1", burst=0, idle=0)
    assert (merged.pids, merged.block_io) == (OLD.pids, OLD.block_io)


def test_devices_pages_and_files_are_merged_one_by_one() -> None:
    new = Resources(
        block_io=BlockIo(
            weight_device=(WeightDevice(8, 0, weight=30),),
            throttle_read_bps_device=(ThrottleDevice(8, 1, 0),),
            throttle_write_iops_device=(ThrottleDevice(8, 1, 3),),
        ),
        hugepage_limits=(HugepageLimit("2MB", 50),),
        unified={"pids.max": "3"},
    )
    merged = changes.merge(OLD, new)
    assert merged.block_io == BlockIo(
        weight=10,
        weight_device=(WeightDevice(8, 0, weight=30),),
        throttle_read_bps_device=(ThrottleDevice(8, 0, 1), ThrottleDevice(8, 1, 0)),
        throttle_write_iops_device=(ThrottleDevice(8, 1, 3),),
    )
    assert merged.hugepage_limits == (HugepageLimit("2MB", 50), HugepageLimit("1GB", 6))
    assert merged.unified == {"memory.high": "1", "pids.max": "3"}


def test_an_idle_group_takes_no_weight() -> None:
    plain = Resources(cpu=Cpu(shares=5, quota=6))
    assert changes.steps(Resources()) == ()
    assert changes.steps(plain) == (plain,)
    assert changes.steps(Resources(cpu=Cpu(shares=5, quota=6, idle=1))) == (
        Resources(cpu=Cpu(quota=6, idle=1)),
    )
    assert changes.steps(Resources(cpu=Cpu(shares=5, quota=6, idle=0))) == (
        Resources(cpu=Cpu(idle=0)),
        plain,
    )


def test_a_group_of_limits_is_told_as_a_whole() -> None:
    new = Resources(memory=Memory(swap=300), unified={"pids.max": "3"})
    told = changes.told(changes.merge(OLD, new), new)
    assert told == Resources(memory=Memory(limit=100, swap=300), unified={"pids.max": "3"})
