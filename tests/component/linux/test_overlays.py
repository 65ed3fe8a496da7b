"""Overlays of the real kernel, by each of the three ways of asking for one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from enclos.linux import mount, mountinfo, overlay
from tests.support.children import inside


def layers(place: Path, count: int) -> list[Path]:
    made: list[Path] = []
    for number in range(count):
        layer = place / f"odd: name, with=all %{number}" / ("x" * 40)
        layer.mkdir(parents=True)
        (layer / f"file{number}").write_text(str(number))
        (layer / "same").write_text(str(number))
        made.append(layer)
    return made


def prepared(place: Path) -> tuple[Path, Path, Path]:
    """Target, upper and work on a file system that can carry an upper layer."""
    mount.tmpfs(place)
    for name in ("target", "upper", "work"):
        (place / name).mkdir()
    return place / "target", place / "upper", place / "work"


@pytest.mark.parametrize("count", [1, 2, 200])
def test_layers_are_merged_topmost_first(tmp_path: Path, count: int) -> None:
    def body() -> None:
        target, upper, work = prepared(tmp_path)
        lower = layers(tmp_path, count)
        overlay.overlay(target, lowerdirs=lower, upper=upper, work=work)
        assert len(os.listdir(target)) == count + 1
        assert (target / "same").read_text() == "0"
        (target / "same").write_text("changed")
        assert (upper / "same").read_text() == "changed"
        assert (lower[0] / "same").read_text() == "0"

    inside(body)


def test_without_an_upper_layer_it_is_read_only(tmp_path: Path) -> None:
    def body() -> None:
        target, _, _ = prepared(tmp_path)
        overlay.overlay(target, lowerdirs=layers(tmp_path, 2), name="named")
        assert mountinfo.below(target)[0].source == "named"
        with pytest.raises(OSError, match="Read-only"):
            (target / "new").touch()

    inside(body)


def _refuse(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.EINVAL, "an older kernel")


@pytest.mark.parametrize("refused", [1, 2])
def test_older_kernels_ways_do_the_same(
    tmp_path: Path, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("_by_descriptors", "_by_layers")[:refused]
    for name in names:
        stand_in: Callable[..., None] = _refuse
        monkeypatch.setattr(overlay, name, stand_in)

    def body() -> None:
        target, upper, work = prepared(tmp_path)
        overlay.overlay(
            target,
            lowerdirs=layers(tmp_path, 130),
            upper=upper,
            work=work,
            options=["index=off", "volatile"],
        )
        assert len(os.listdir(target)) == 131
        (target / "new").touch()

    inside(body)


def test_too_many_layers_for_the_oldest_way_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "_by_descriptors", _refuse)
    monkeypatch.setattr(overlay, "_by_layers", _refuse)

    def body() -> None:
        target, _, _ = prepared(tmp_path)
        with pytest.raises(OSError, match="300 layers do not fit"):
            overlay.overlay(target, lowerdirs=layers(tmp_path, 300))

    inside(body)


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        overlay.overlay(tmp_path, lowerdirs=[tmp_path / "gone"])


def test_descriptors_are_closed_either_way(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"."):
        overlay.overlay(tmp_path / "gone", lowerdirs=layers(tmp_path, 2))
    assert len(os.listdir("/proc/self/fd")) == before
