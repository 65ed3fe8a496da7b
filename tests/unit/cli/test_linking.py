"""One container that links to another starts or not, whatever is wrong with a third."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.cli import connecting, linking, lookup, memberships
from enclos.cli.home import Home
from enclos.config.settings import Settings
from enclos.errors import EnclosError, NotFound
from enclos.state.definitions import Definition
from enclos.state.store import StateRoot


@pytest.mark.parametrize(
    "error", [NotFound("no such network: gone"), PermissionError(13, "Permission denied")]
)
def test_one_that_cannot_be_told_keeps_nothing_from_the_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: EnclosError | OSError,
) -> None:
    home = Home(Settings(), StateRoot(tmp_path), tmp_path)
    bad, good = (
        Definition(id=name, name=name, created="", rootfs_kind="directory", args=())
        for name in ("bad", "good")
    )
    for definition in (bad, good):
        lookup.directory(home, definition.id).mkdir(parents=True)
    running = {one.id: lookup.Container(one.id, "running", one, None) for one in (bad, good)}
    told: list[str] = []

    def note(_home: Home, definition: Definition) -> None:
        if definition is bad:
            raise error

    monkeypatch.setattr(linking, "_followers", lambda *_: iter(("removed", "bad", "good")))
    monkeypatch.setattr(lookup, "find", lambda _, name: running[name])
    monkeypatch.setattr(memberships, "note_links_again", note)
    monkeypatch.setattr(connecting, "rewrite", lambda _, definition: told.append(definition.id))
    linking.tell(home, "started")
    assert told == ["good"]
    said = capfd.readouterr().err
    assert str(error.args[-1]) in said
    assert "removed" not in said
