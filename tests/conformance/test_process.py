"""The specification's `process`, `root` and `hostname`, as a program in the container sees them."""

from __future__ import annotations

from typing import Final

import pytest

from tests.conformance.conftest import Pod
from tests.conformance.rows import Row, adding, at, together

ONE_CAPABILITY: Final = ["CAP_NET_BIND_SERVICE"]
MASK: Final = "0000000000000400"


def _capabilities(*sets: str) -> dict[str, list[str]]:
    return dict.fromkeys(sets, ONE_CAPABILITY)


ROWS: Final = (
    Row("process.args", at("process.args", ["echo", "a  b"]), "", "a  b"),
    Row("process.cwd", at("process.cwd", "/tmp"), "pwd", "/tmp"),
    Row("process.env", adding("process.env", "WORD=a b"), 'echo "$WORD"', "a b"),
    Row("process.user.uid", at("process.user.uid", 1234), "id -u", "1234"),
    Row("process.user.gid", at("process.user.gid", 4321), "id -g", "4321"),
    Row(
        "process.user.additionalGids",
        at("process.user.additionalGids", [5, 6]),
        "id -G",
        "0 5 6",
    ),
    Row("process.user.umask", at("process.user.umask", 0o077), "umask", "0077"),
    Row(
        "process.rlimits",
        at("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456}]),
        "ulimit -Sn; ulimit -Hn",
        "123\n456",
    ),
    Row(
        "process.capabilities.bounding",
        at("process.capabilities", _capabilities("bounding")),
        "busybox grep CapBnd /proc/self/status",
        rf"CapBnd:\s+{MASK}",
    ),
    Row(
        "process.capabilities.effective",
        at("process.capabilities", _capabilities("bounding", "effective", "permitted")),
        "busybox grep CapEff /proc/self/status",
        rf"CapEff:\s+{MASK}",
    ),
    Row(
        "process.capabilities.ambient, of another user",
        together(
            at(
                "process.capabilities",
                _capabilities("bounding", "effective", "permitted", "inheritable", "ambient"),
            ),
            at("process.user.uid", 1000),
        ),
        "busybox grep CapEff /proc/self/status",
        rf"CapEff:\s+{MASK}",
    ),
    Row(
        "process.noNewPrivileges",
        at("process.noNewPrivileges", True),
        "busybox grep NoNewPrivs /proc/self/status",
        r"NoNewPrivs:\s+1",
    ),
    Row(
        "process.noNewPrivileges, off",
        at("process.noNewPrivileges", False),
        "busybox grep NoNewPrivs /proc/self/status",
        r"NoNewPrivs:\s+0",
    ),
    Row(
        "process.oomScoreAdj",
        at("process.oomScoreAdj", 500),
        "cat /proc/self/oom_score_adj",
        "500",
    ),
    Row("the exit status", together(), "exit 7", "", code=7),
    Row(
        "root.readonly",
        at("root.readonly", True),
        "touch /x 2>&1",
        ".*Read-only file system",
        code=1,
    ),
    Row("root.readonly, off", at("root.readonly", False), "touch /x && echo written", "written"),
    Row("hostname", at("hostname", "a-name"), "hostname", "a-name"),
    Row(
        "domainname",
        at("domainname", "a.domain"),
        "cat /proc/sys/kernel/domainname",
        r"a\.domain",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_row(pod: Pod, row: Row) -> None:
    answer = pod.run(row.script, row.change)
    assert answer.code == row.code, answer.err
    assert row.fits(answer.out), answer.out
