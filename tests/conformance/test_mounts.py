"""Binds of the host's files: what a container sees of them here and with runc or crun."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from enclos.linux import mount
from tests.conformance.answers import Answer
from tests.conformance.conftest import Side
from tests.conformance.fields_linux import IDS, USERS
from tests.conformance.rows import Change, adding, together


def _bind(source: Path, *options: str, **members: Any) -> Change:
    entry = {"destination": "/x", "type": "bind", "source": str(source), "options": list(options)}
    return adding("mounts", entry | members)


def _both(
    pod: Side, others: Mapping[str, Side], script: str, change: Change, *, peer: str = "runc"
) -> Answer:
    """Our answer, after it was compared with the peer's."""
    if peer not in others:
        pytest.skip(f"no {peer} on this host")
    ours = pod.run(script, change)
    theirs = others[peer].run(script, change)
    assert (ours.code, ours.out) == (theirs.code, theirs.out), (ours.err, theirs.err)
    return ours


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file, and a tmpfs mounted on a directory in it."""
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/file").write_text("from the host\n")
    mount.tmpfs(tmp_path / "tree/below", mode=0o777)
    (tmp_path / "tree/below/deep").write_text("deep\n")
    yield tmp_path / "tree"
    mount.unmount(tmp_path / "tree/below")


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_a_bind_shows_the_host(
    pod: Side, others: Mapping[str, Side], tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    file.write_text("from the host\n")
    source, read = (tmp_path, "/x/file") if kind == "directory" else (file, "/x")
    script = f"cat {read}; echo again >>{read}; cat {read}"
    assert _both(pod, others, f"cat {read}", _bind(source, "bind")).code == 0
    assert pod.run(script, _bind(source, "bind")).code == 0
    assert file.read_text() == "from the host\nagain\n"


@pytest.mark.parametrize(
    "options",
    [
        ("bind",), ("rbind",), ("bind", "ro"), ("rbind", "rro"),
        ("rbind", "nosuid", "nodev", "noexec"), ("rbind", "rprivate"), ("rbind", "rslave"),
        ("bind", "rw"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_tree(
    pod: Side, others: Mapping[str, Side], tree: Path, options: tuple[str, ...]
) -> None:
    script = (
        "cat /x/file /x/below/deep; for d in /x /x/below; do touch $d/new 2>/dev/null "
        "&& { echo written; busybox rm $d/new; } || echo refused; done"
    )
    answer = _both(pod, others, script, _bind(tree, *options))
    assert "from the host" in answer.out


def test_read_only_covers_what_is_below(pod: Side, tree: Path) -> None:
    """See docs/differences.md: with runc only what `rro` names does."""
    script = "touch /x/below/new 2>/dev/null && echo written || echo refused"
    assert pod.run(script, _bind(tree, "rbind", "ro")).out == "refused\n"


def test_owners_are_mapped(pod: Side, others: Mapping[str, Side], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine\n")
    tmp_path.chmod(0o755)
    mapped = {"uidMappings": IDS, "gidMappings": IDS, "destination": "/tmp"}
    change = together(USERS, _bind(tmp_path, "bind", "idmap", **mapped))
    script = "cd /tmp; busybox stat -c '%u %g' file; touch new && busybox stat -c '%u %g' new"
    answer = _both(pod, others, script, change, peer="crun")
    assert answer.out == "0 0\n0 0\n"
    found = os.stat(tmp_path / "new")
    assert (found.st_uid, found.st_gid) == (0, 0)


def test_a_source_that_is_not_there(pod: Side, others: Mapping[str, Side]) -> None:
    answer = _both(pod, others, "true", _bind(Path("/none/such"), "bind"))
    assert "/none/such" in answer.err
