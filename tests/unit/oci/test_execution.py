from __future__ import annotations

import pytest

from enclos.errors import InvalidRequest
from enclos.oci.execution import Changes, exec_process
from enclos.oci.types import Capabilities, Process, User

BASE = Process(
    terminal=True,
    user=User(1, 2, additional_gids=(3,)),
    args=("init",),
    env=("A=1",),
    cwd="/w",
    capabilities=Capabilities(bounding=("CAP_KILL",), effective=("CAP_KILL",)),
)


def test_the_containers_own_is_kept() -> None:
    found = exec_process(BASE, Changes(args=("ls", "-l")))
    assert found.args == ("ls", "-l")
    assert (found.cwd, found.env, found.user) == (BASE.cwd, BASE.env, BASE.user)
    assert found.capabilities == BASE.capabilities
    assert not found.terminal


def test_flags_change_it() -> None:
    changes = Changes(
        args=("ls",), cwd="/x", env=("B=2",), user="7:8", additional_gids=("9",), terminal=True,
        no_new_privileges=True, capabilities=("CAP_CHOWN", "CAP_KILL"),
    )  # fmt: skip
    found = exec_process(BASE, changes)
    assert found.cwd == "/x"
    assert found.env == ("A=1", "B=2")
    assert found.user == User(7, 8, additional_gids=(3, 9))
    assert found.terminal
    assert found.no_new_privileges
    assert found.capabilities == Capabilities(
        bounding=("CAP_KILL", "CAP_CHOWN"),
        effective=("CAP_KILL", "CAP_CHOWN"),
        permitted=("CAP_CHOWN", "CAP_KILL"),
    )


def test_a_user_alone_keeps_the_group() -> None:
    assert exec_process(BASE, Changes(args=("ls",), user="7")).user.gid == 2


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (Changes(args=()), "process args cannot be empty"),
        (Changes(args=("a",), user="bob"), "invalid user id 'bob'"),
        (Changes(args=("a",), user="1:"), "invalid group id ''"),
        (Changes(args=("a",), user="4294967295"), "invalid user id"),
        (Changes(args=("a",), additional_gids=("x",)), "invalid group id 'x'"),
    ],
)
def test_nonsense_is_named(changes: Changes, found: str) -> None:
    with pytest.raises(InvalidRequest, match=found):
        exec_process(BASE, changes)
