"""`update`: flags become limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import EnclosError, InvalidRequest
from enclos.oci.resources import BlockIo, Cpu, Memory, Pids, Resources
from enclos.ocicli import parse, update


def changes(line: str) -> Resources:
    return update.changes(parse.parse(["update", *line.split(), "ID"]))


def test_every_single_flag() -> None:
    found = changes(
        "--blkio-weight 100 --cpu-period 50000 --cpu-quota=-1 --cpu-share 7 --cpu-burst 0 "
        "--cpu-rt-period 5 --cpu-rt-runtime 6 --cpuset-cpus 0-1 --cpuset-mems 0 --memory 512M "
        "--memory-reservation 1.5g --memory-swap -1 --kernel-memory 1k --kernel-memory-tcp 2 "
        "--pids-limit -1 -cpu-idle 1"
    )
    assert found == Resources(
        memory=Memory(
            limit=512 << 20, reservation=3 << 29, swap=-1, kernel=1024, kernel_tcp=2
        ),
        cpu=Cpu(
            shares=7, quota=-1, burst=0, period=50_000, realtime_runtime=6, realtime_period=5,
            cpus="0-1", mems="0", idle=1,
        ),
        pids=Pids(-1),
        block_io=BlockIo(weight=100),
    )  # fmt: skip


def test_only_what_is_named() -> None:
    assert changes("--pids-limit 5") == Resources(pids=Pids(5))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "nothing to change"),
        ("--memory much", "invalid value 'much' for --memory"),
        ("--memory -2", "invalid value '-2' for --memory"),
        ("--cpu-share -1", "invalid value '-1' for --cpu-share"),
        ("--pids-limit 1.5", "invalid value '1.5' for --pids-limit"),
        ("--resources - --memory 5M", "--resources and --memory exclude each other"),
        ("--resources /does/not/exist", "resources file /does/not/exist not found"),
    ],
)
def test_what_cannot_be_is_refused_by_its_flag(line: str, message: str) -> None:
    with pytest.raises(EnclosError) as caught:
        changes(line)
    assert message in str(caught.value)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "resources"
    file.write_text('{"memory": {"limit": 5}, "pids": {"limit": 6}}')
    assert changes(f"-r {file}") == Resources(memory=Memory(limit=5), pids=Pids(6))
    file.write_text("{")
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        changes(f"--resources={file}")
