"""Which modules the agent loads, and in which order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from enclos.guest import modules
from enclos.linux import libc

TABLE = ("boot virtio_net", "later x_tables", "later ip_tables", "later veth", "later ip6_tables")


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Names and flags of what the kernel was asked to load."""
    found: list[tuple[str, int]] = []

    def load(descriptor: int, parameters: str = "", *, flags: int = 0) -> None:
        found.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, flags))

    lines: list[str] = []
    for line in TABLE:
        place = tmp_path / line.split()[1]
        place.touch()
        lines.append(f"{line} {place}\n")
    (tmp_path / "table").write_text("".join(lines))
    monkeypatch.setattr(modules, "_TABLE", os.fspath(tmp_path / "table"))
    monkeypatch.setattr(modules, "_LOADED", os.fspath(tmp_path / "loaded"))
    monkeypatch.setattr(libc, "finit_module", load)
    return found


def spec(*capabilities: str) -> dict[str, Any]:
    return {"process": {"capabilities": {"bounding": list(capabilities)}}}


def test_those_of_the_boot_are_loaded_and_their_files_removed(
    loaded: list[tuple[str, int]], tmp_path: Path
) -> None:
    modules.load_for_boot()
    assert loaded == [("virtio_net", 0)]
    assert not (tmp_path / "virtio_net").exists()
    assert (tmp_path / "ip_tables").exists()


def test_who_may_change_the_network_has_a_firewall_of_the_older_kind(
    loaded: list[tuple[str, int]], tmp_path: Path
) -> None:
    modules.load_for(spec("CAP_KILL", "CAP_NET_ADMIN"))
    assert loaded == [("x_tables", 4), ("ip_tables", 4), ("ip6_tables", 4)]
    (tmp_path / "loaded/ip_tables").mkdir(parents=True)
    del loaded[:]
    modules.load_for(spec("CAP_NET_ADMIN"))
    assert loaded == [("x_tables", 4), ("ip6_tables", 4)]


@pytest.mark.parametrize(
    "document", [spec("CAP_KILL"), {}, [], {"process": {}}, {"process": {"capabilities": None}}]
)
def test_others_have_none(loaded: list[tuple[str, int]], document: Any) -> None:
    modules.load_for(document)
    assert not loaded
