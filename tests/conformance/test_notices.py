"""sd_notify(3): with NOTIFY_SOCKET set runc has the container say when it is ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.conftest import Side
from tests.conformance.rows import adding, together
from tests.support.notices import SAY, manager

PYTHON: Final = together(
    *(
        adding(
            "mounts",
            {"destination": f"/{name}", "type": "bind", "source": f"/{name}",
             "options": ["rbind", "ro"]},
        )
        for name in ("usr", "lib", "lib64")
    )
)  # fmt: skip


@pytest.mark.parametrize("verbs", [("run", "--detach"), ("create",)], ids=lambda verbs: verbs[0])
def test_a_container_says_that_it_is_ready(
    pod: Side, others: Mapping[str, Side], tmp_path: Path, verbs: tuple[str, ...]
) -> None:
    """`run` and `start` return when it has; only that is passed on, and whose pid it is."""
    if "runc" not in others:
        pytest.skip("no runc on this host")
    for side in (pod, others["runc"]):
        name, path = side.name(), tmp_path / side.runtime.name
        bundle = side.bundle(name, f'exec /usr/bin/python3 -ISc "{SAY}"', PYTHON)
        with manager(path) as heard:
            told = {"NOTIFY_SOCKET": str(path)}
            calls = [(*verbs, "--bundle", str(bundle), name)]
            calls += [("start", name)] if verbs == ("create",) else []
            for call in calls:
                assert not heard
                answer = side.runtime.call(*call, scratch=bundle, environment=told)
                assert answer.code == 0, answer.err
            pid = json.loads(side.runtime.call("state", name, scratch=bundle).out)["pid"]
            side.forget(name)
        assert heard == [b"READY=1\n", f"MAINPID={pid}\n".encode()], side.runtime.name


def test_a_container_that_ends_before_it_is_ready(pod: Side, tmp_path: Path) -> None:
    """runc 1.1 waits for ever: to it a process that it has not reaped is alive."""
    name, path = pod.name(), tmp_path / "manager"
    bundle = pod.bundle(name, "sleep 1; exit 3", together())
    with manager(path) as heard:
        words = ("run", "--detach", "--bundle", str(bundle), name)
        told = {"NOTIFY_SOCKET": str(path)}
        answer = pod.runtime.call(*words, scratch=bundle, environment=told)
        assert (answer.code, heard) == (0, []), answer.err
        pod.forget(name)


def test_nobody_at_the_socket(pod: Side, tmp_path: Path) -> None:
    name = pod.name()
    bundle = pod.bundle(name, "true", together())
    words = ("run", "--bundle", str(bundle), name)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "nobody")}
    answer = pod.runtime.call(*words, scratch=bundle, environment=environment)
    assert answer.code == 1
    assert "NOTIFY_SOCKET: cannot use" in answer.err
    assert "unset the variable" in answer.err
