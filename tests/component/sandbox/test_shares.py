"""Trees in the share: what is alike is there once, and goes with the last that has it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from enclos.linux import mount, mountinfo
from enclos.plan.guestmounts import SharedSource
from enclos.sandbox import shares, trees
from enclos.sandbox.boot import Phases
from enclos.sandbox.live import Sandbox
from enclos.state.store import StateRoot
from enclos.wire.places import VOLUMES_NAME
from tests.support.apart import apart


def _source(path: Path, *, readonly: bool = False) -> SharedSource:
    return SharedSource(0, os.fspath(path), "/d", recursive=True, readonly=readonly)


def _sandbox(place: Path) -> Sandbox:
    share = place / "share"
    share.mkdir()
    plan = SimpleNamespace(id="s", share=share)
    return Sandbox(cast("Any", plan), StateRoot(place / "state"), Phases())


def _bind(sandbox: Sandbox, name: str, *sources: SharedSource) -> None:
    with ExitStack() as opened:
        made = [trees.clone(sandbox.plan.share.parent, opened, recursive=False)]
        made += [trees.of_source(source, opened) for source in sources]
        alike = trees.likenesses(sources, made[1:])
        shares.bind(sandbox, name, [os.dup(tree) for tree in made], alike)


def _volumes(sandbox: Sandbox) -> list[str]:
    place = sandbox.plan.share / VOLUMES_NAME
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def test_a_volume_is_mounted_once_and_stays_as_long_as_somebody_has_it(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "file").write_text("f")

    def story() -> None:
        sandbox = _sandbox(tmp_path)
        both = (_source(tmp_path / "volume"), _source(tmp_path / "file"))
        _bind(sandbox, "one", *both)
        _bind(sandbox, "two", *both)
        assert _volumes(sandbox) == ["0", "1"]
        share = sandbox.plan.share
        (share / "one/m0/new").write_text("x")
        assert (share / "two/m0/new").read_text() == "x"
        assert (share / "two/m1").read_text() == "f"
        assert (share / "one/m0").resolve() == (share / "two/m0").resolve()
        shares.unbind(sandbox, "one")
        assert (share / "two/m0/new").exists()
        shares.unbind(sandbox, "two")
        assert (_volumes(sandbox), sandbox.volumes) == ([], {})
        assert not mountinfo.below(share)

    apart(story)


def test_a_reader_joins_a_writer_and_no_writer_a_reader(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    writer, reader = (_source(tmp_path / "volume", readonly=only) for only in (False, True))

    def story() -> None:
        sandbox = _sandbox(tmp_path)
        _bind(sandbox, "reader", reader)
        _bind(sandbox, "writer", writer)
        _bind(sandbox, "late", reader)
        assert _volumes(sandbox) == ["0", "1"]
        assert os.statvfs(sandbox.plan.share / "reader/m0").f_flag & os.ST_RDONLY
        (sandbox.plan.share / "writer/m0/x").write_text("")
        shares.unbind(sandbox, "reader")
        _bind(sandbox, "last", reader)
        assert _volumes(sandbox) == ["1"]

    apart(story)


def test_what_has_mounts_below_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "volume/below").mkdir(parents=True)

    def story() -> None:
        mount.tmpfs(tmp_path / "volume/below")
        sandbox = _sandbox(tmp_path)
        for name in ("one", "two"):
            _bind(sandbox, name, _source(tmp_path / "volume"))
            assert (sandbox.plan.share / name / "m0/below").is_mount()
        assert _volumes(sandbox) == []

    apart(story)


def test_what_follows_sees_later_mounts(tmp_path: Path) -> None:
    (tmp_path / "volume/later").mkdir(parents=True)

    def story() -> None:
        mount.bind(tmp_path / "volume", tmp_path / "volume")
        mount.make_shared(tmp_path / "volume")
        with ExitStack() as opened:
            seen: list[bool] = []
            for follows in (True, False):
                tree = trees.clone(tmp_path / "volume", opened, recursive=True, follows=follows)
                place = tmp_path / f"place{follows}"
                place.mkdir()
                mount.attach(tree, place)
            mount.tmpfs(tmp_path / "volume/later")
            seen = [(tmp_path / f"place{follows}/later").is_mount() for follows in (True, False)]
        assert seen == [True, False]

    apart(story)
