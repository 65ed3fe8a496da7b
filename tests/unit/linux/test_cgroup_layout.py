"""Hierarchies from examples of the table of mounts; the specification's paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.linux.cgroup import layout
from enclos.linux.cgroup.layout import Mode

V2 = "30 21 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = """\
31 21 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 21 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 21 0:29 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct
"""


@pytest.mark.parametrize(
    ("text", "mode"),
    [("", Mode.NONE), (V2, Mode.UNIFIED), (V1, Mode.LEGACY), (V1 + V2, Mode.HYBRID)],
)
def test_the_mode_follows_from_the_mounts(tmp_path: Path, text: str, mode: Mode) -> None:
    (tmp_path / "table").write_text(text)
    assert layout.detect(tmp_path / "table").mode is mode


def test_a_hierarchy_counts_once_and_knows_its_controllers(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(V1)
    first, second = layout.detect(tmp_path / "table").legacy
    assert first.controllers == {"cpu", "cpuacct"}
    assert first.mount == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert not second.controllers


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "enclos/c1"),
        ("/docker/c1", "docker/c1"),
        ("a/b", "a/b"),
        ("/a//b/./c/", "a/b/c"),
        ("/../../etc", "etc"),
        ("../up", "up"),
    ],
)
def test_a_path_stays_below_the_mount(path: str, expected: str) -> None:
    assert layout.relative(path, "c1") == expected


@pytest.mark.parametrize("path", ["/", "/..", "a/..", "a\0b", "x" * 5000])
def test_a_path_that_is_no_group_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        layout.relative(path, "c1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("machine.slice:libpod:c1", "machine.slice/libpod-c1.scope"),
        (":libpod:c1", "system.slice/libpod-c1.scope"),
        ("-.slice:docker:c1", "docker-c1.scope"),
        ("a-b.slice:cri:c1", "a.slice/a-b.slice/cri-c1.scope"),
        ("user.slice::own.slice", "user.slice/own.slice"),
    ],
)
def test_systemds_form_is_spelled_out(text: str, expected: str) -> None:
    assert layout.relative(text, "c1", systemd=True) == expected


@pytest.mark.parametrize("text", ["/docker/c1", "a:b", "x:y:z", "a--b.slice:p:n", "a.slice:p:"])
def test_what_is_not_systemds_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        layout.relative(text, "c1", systemd=True)
