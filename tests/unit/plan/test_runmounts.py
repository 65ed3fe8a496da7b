from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.oci.types import Mount
from enclos.plan.imageconfig import ImageConfig
from enclos.plan.runmounts import (
    MountRequest,
    Source,
    from_mount,
    from_tmpfs,
    from_volume,
    requests,
    to_mount,
)
from enclos.plan.runoptions import RunOptions, Surroundings

HERE = Surroundings("id", home="/home", rootfs="/rootfs", volumes="/volumes", directory="/here/now")


def bind(target: str, source: str, **values: object) -> MountRequest:
    return MountRequest(Source.BIND, target, source, copy=False, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/src:/dst", bind("/dst", "/src")),
        ("/src:/dst:ro", bind("/dst", "/src", readonly=True)),
        ("/src/:/dst/:rw,z", bind("/dst", "/src")),
        ("./a:/dst", bind("/dst", "/here/now/a")),
        ("..:/dst", bind("/dst", "/here")),
        ("/s:/d:rslave,noexec", bind("/d", "/s", options=("rslave", "noexec"))),
        ("name:/d", MountRequest(Source.VOLUME, "/d", "name")),
        ("name:/d:nocopy,ro", MountRequest(Source.VOLUME, "/d", "name", readonly=True, copy=False)),
    ],
)
def test_volumes(text: str, expected: MountRequest) -> None:
    assert from_volume(text, HERE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "relative",
        "/src:relative",
        "/src:/",
        "/src:/dst:ro:x",
        "/src:/dst:nope",
        "/src:/dst:nocopy",
        "/src:/dst:U",
        "/src:/dst:O",
        ":/dst",
        "a/b:/dst",
        "-x:/dst",
        "/a:/b\0",
    ],
)
def test_volumes_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="for --volume"):
        from_volume(text, HERE)


def test_volumes_without_a_name_are_found_again() -> None:
    first, second = from_volume("/data", HERE), from_volume("/data", HERE)
    assert first == second
    assert first.anonymous
    assert len(first.source) == 64
    assert from_volume("/other", HERE).source != first.source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=bind,source=/s,target=/d", bind("/d", "/s")),
        ("type=bind,src=./s,dst=/d,readonly", bind("/d", "/here/now/s", readonly=True)),
        ("type=bind,src=/s,destination=/d,ro=false", bind("/d", "/s")),
        ("type=bind,src=/s,dst=/d,bind-recursive=disabled", bind("/d", "/s", recursive=False)),
        ("type=bind,src=/s,dst=/d,bind-nonrecursive=1", bind("/d", "/s", recursive=False)),
        ("type=bind,src=/s,dst=/d,bind-propagation=rshared,consistency=cached",
         bind("/d", "/s", options=("rshared",))),
        ('type=bind,"src=/s,with comma",dst=/d', bind("/d", "/s,with comma")),
        ("source=name,target=/d", MountRequest(Source.VOLUME, "/d", "name")),
        ("src=name,dst=/d,volume-nocopy", MountRequest(Source.VOLUME, "/d", "name", copy=False)),
    ],
)  # fmt: skip
def test_mounts(text: str, expected: MountRequest) -> None:
    assert from_mount(text, HERE) == expected


def test_tmpfs() -> None:
    assert from_tmpfs("/t").options == ("nosuid", "nodev", "noexec")
    assert from_tmpfs("/t:exec,size=1m").options == ("nosuid", "nodev", "exec", "size=1048576")
    assert from_tmpfs("/t:size=50%").options[-1] == "size=50%"
    found = from_mount("type=tmpfs,dst=/t,tmpfs-size=1k,tmpfs-mode=1770,ro", HERE)
    assert found.options == ("nosuid", "nodev", "noexec", "size=1024", "mode=1770", "ro")
    assert to_mount(found, HERE) == Mount("/t", "tmpfs", "tmpfs", found.options)


@pytest.mark.parametrize("text", ["t", "/", "/t:size=x", "/t:loop", "/t:size", "/t:exec=1"])
def test_tmpfs_that_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="for --tmpfs"):
        from_tmpfs(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "type=bind,dst=/d",
        "type=bind,src=/s",
        "type=cluster,src=/s,dst=/d",
        "type=tmpfs,src=/s,dst=/d",
        "type=tmpfs,dst=/d,tmpfs-mode=9",
        "type=tmpfs,dst=/d,tmpfs-size=big",
        "type=bind,src=/s,dst=/d,volume-nocopy",
        "type=bind,src=/s,dst=/d,bind-propagation=up",
        "type=bind,src=/s,dst=/d,bind-recursive=perhaps",
        "type=bind,src=/s,dst=/d,readonly=perhaps",
        "src=/s,dst=/d",
        "dst=relative",
        'type=bind,"src=/s,dst=/d',
        "type=bind,src=/s\n,dst=/d",
    ],
)
def test_mounts_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="for --mount"):
        from_mount(text, HERE)


def test_binds_and_volumes_in_the_specification() -> None:
    assert to_mount(from_volume("/s:/d:ro", HERE), HERE) == Mount(
        "/d", "bind", "/s", ("rbind", "rprivate", "ro")
    )
    assert to_mount(from_volume("vol:/d:rslave", HERE), HERE) == Mount(
        "/d", "bind", "/volumes/vol/_data", ("rbind", "rslave")
    )
    shallow = from_mount("type=bind,src=/s,dst=/d,bind-recursive=disabled", HERE)
    assert to_mount(shallow, HERE).options == ("bind", "rprivate")


def test_all_requests_come_parents_first() -> None:
    options = RunOptions(volumes=("/s:/a/b/c", "/s:/a"), tmpfs=("/a/b",), mounts=("dst=/z",))
    found = requests(ImageConfig(volumes=("/data", "/a", "/x/../y")), options, HERE)
    assert [item.target for item in found] == ["/a", "/z", "/data", "/y", "/a/b", "/a/b/c"]
    assert [item.anonymous for item in found] == [False, True, True, True, False, False]


def test_a_target_is_mounted_once() -> None:
    options = RunOptions(volumes=("/s:/a/",), tmpfs=("/a",))
    with pytest.raises(InvalidRequest, match="duplicate mount point: /a"):
        requests(ImageConfig(), options, HERE)


@given(st.text(alphabet="/a:.,=\"'ro\0 size=type", max_size=40))
def test_reading_is_total(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        from_volume(text, HERE)
    with contextlib.suppress(InvalidRequest):
        from_mount(text, HERE)
    with contextlib.suppress(InvalidRequest):
        from_tmpfs(text)
