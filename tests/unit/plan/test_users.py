from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import EnclosError, InvalidRequest, NotFound
from enclos.plan.users import ResolvedUser, resolve_user

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment
broken
web:x:33:33:web:/var/www:/bin/false
other:x:1000:100::/srv/other:
empty:x:7:7:::
"""
GROUP = """root:x:0:
adm:x:4:web,other
www:x:33:
users:x:100:
huge:x:99999999999999999999:web
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", ResolvedUser(0, 0, (0,), "/root")),
        ("web", ResolvedUser(33, 33, (33, 4), "/var/www")),
        ("33", ResolvedUser(33, 33, (33, 4), "/var/www")),
        ("web:users", ResolvedUser(33, 100, (100,), "/var/www")),
        ("web:4", ResolvedUser(33, 4, (4,), "/var/www")),
        ("1000:1000", ResolvedUser(1000, 1000, (1000,), "/srv/other")),
        ("4242", ResolvedUser(4242, 0, (0,), "/")),
        ("4242:4243", ResolvedUser(4242, 4243, (4243,), "/")),
        ("empty:", ResolvedUser(7, 7, (7,), "/")),
        (":users", ResolvedUser(0, 100, (100,), "/root")),
    ],
)
def test_users(user: str, expected: ResolvedUser) -> None:
    assert resolve_user(user, PASSWD, GROUP) == expected


def test_extra_groups() -> None:
    found = resolve_user("web", PASSWD, GROUP, extra_groups=["users", "77", "adm"])
    assert found.groups == (33, 4, 100, 77)


def test_no_files() -> None:
    assert resolve_user("0:0", "", "") == ResolvedUser(0, 0, (0,), "/")


@pytest.mark.parametrize("user", ["nobody", "web:nogroup", "-1", "we b", "\u0661"])
def test_unknown_names(user: str) -> None:
    with pytest.raises(NotFound, match="unable to find"):
        resolve_user(user, PASSWD, GROUP)


@pytest.mark.parametrize("user", ["2147483648", "0:99999999999", "9" * 5000])
def test_impossible_numbers(user: str) -> None:
    with pytest.raises(InvalidRequest, match="out of range"):
        resolve_user(user, PASSWD, GROUP)


@given(st.text(max_size=20), st.text(), st.text())
def test_resolving_is_total(user: str, passwd: str, group: str) -> None:
    with contextlib.suppress(EnclosError):
        resolve_user(user, passwd, group)
