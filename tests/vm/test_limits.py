"""Limits: the container's cgroup has them exactly, and its machine is large enough for them."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.cli import Programs

GIB = 1 << 30
FILES = 200_000
DEMO = "enclos/demo"


def test_more_memory_than_the_host_has_is_the_guests_limit_only(programs: Programs) -> None:
    """The limit is kept as it was asked for, the machine stays inside the host, the log says so."""
    told = Programs(
        programs.state_root, programs.data_root, {**programs.settings, "ENCLOS_LOG_LEVEL": "info"}
    )
    script = "cat /sys/fs/cgroup/memory.max; grep MemTotal /proc/meminfo"
    answer = told.enclos("run", "--rm", "-m", "900G", DEMO, "sh", "-c", script)
    limit, _, total, _ = answer.out.split()
    host = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert answer.code == 0, answer.err
    assert int(limit) == 900 * GIB
    assert int(total) * 1024 <= host
    assert "the machine gets no more than" in answer.err


def test_no_limit_on_cpus(programs: Programs) -> None:
    out = programs.ok("run", "--rm", "--cpus", "0", DEMO, "cat", "/sys/fs/cgroup/cpu.max")
    assert out.split()[0] == "max"


def test_cpus_and_all_other_limits(programs: Programs) -> None:
    script = (
        "cd /sys/fs/cgroup; cat cpu.max memory.max memory.swap.max pids.max cpu.weight; nproc; "
        "ulimit -n; ulimit -c"
    )
    out = programs.ok(
        "run", "--rm", "--cpus", "1.5", "-m", "100M", "--memory-swap", "100M", "--pids-limit", "44",
        "--cpu-shares", "2048", "--ulimit", "nofile=123:456", "--ulimit", "core=0",
        DEMO, "sh", "-c", script,
    )  # fmt: skip
    quota, period, memory, swap, pids, weight, processors, files, core = out.split()
    assert int(quota) / int(period) == 1.5
    assert (memory, swap, pids) == (str(100 << 20), "0", "44")
    assert int(weight) > 39
    assert processors == str(min(2, os.cpu_count() or 1))
    assert (files, core) == ("123", "0")


def test_out_of_memory_ends_the_container_not_the_machine(programs: Programs) -> None:
    made = programs.ok("create", "-m", "40M", DEMO, "sh", "-c", "tail /dev/zero").strip()
    answer = programs.enclos("start", "-a", made)
    (found,) = json.loads(programs.ok("inspect", made))
    programs.ok("rm", made)
    assert answer.code == 137
    assert "it ran out of memory" in answer.err
    assert found["State"]["OOMKilled"] is True
    assert found["State"]["ExitCode"] == 137


def test_a_fork_bomb_stays_inside(programs: Programs) -> None:
    script = "for i in $(seq 60); do sleep 100 & done; wait"
    answer = programs.enclos("run", "--rm", "--pids-limit", "20", DEMO, "sh", "-c", script)
    assert "can't fork" in answer.err
    assert answer.code != 0


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_a_large_machine_has_room_for_the_kernel_too(programs: Programs) -> None:
    """All plugged memory used to be movable: 256 MiB held neither page tables nor dentries."""
    script = (
        "grep MemTotal /proc/meminfo; mkdir /big/d; cd /big/d; "
        f"seq {FILES} | xargs touch; ls | wc -l; head -c 2000000000 /dev/zero > /big/data; "
        "wc -c < /big/data"
    )
    out = programs.ok(
        "run", "--rm", "-m", "16G", "--tmpfs", "/big:size=8g", DEMO, "sh", "-c", script
    )
    _, total, _, files, size = out.split()
    assert int(total) * 1024 > 16 * GIB
    assert int(files) == FILES
    assert int(size) == 2_000_000_000
