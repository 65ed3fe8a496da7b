"""Rows about `process`, `root`, `hostname` and `domainname`."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.rows import NOBODY, Row, adding, at, together

SETS: Final = ("bounding", "effective", "permitted", "inheritable", "ambient")
STATUS: Final = "busybox grep Cap /proc/self/status"
BIND: Final = "0000000000000400"
NONE: Final = "0000000000000000"


def _capabilities(*sets: str) -> dict[str, Any]:
    return {name: ["CAP_NET_BIND_SERVICE"] for name in sets}


def _status(**sets: str) -> str:
    """What /proc/self/status says of the five sets."""
    words = {"Inh": "", "Prm": "", "Eff": "", "Bnd": "", "Amb": "", **sets}
    return r"\n".join(rf"Cap{name}:\t{value or NONE}" for name, value in words.items())


def _rlimit(name: str, soft: int, hard: int) -> Any:
    return at("process.rlimits", [{"type": name, "soft": soft, "hard": hard}])


SCHEDULE: Final = "busybox awk '{print $19, $40, $41}' /proc/self/stat"
"""Nice value, real-time priority and policy."""

ROWS: Final = (
    Row("process.args", at("process.args", ["echo", "a  b", ""]), "", "a  b"),
    Row("process.cwd", at("process.cwd", "/tmp"), "pwd", "/tmp"),
    Row(
        "process.cwd, one to be made",
        at("process.cwd", "/new/one"),
        "pwd; busybox stat -c '%a %u %g' /new /new/one",
        "/new/one\n755 0 0\n755 0 0",
    ),
    Row("process.env", adding("process.env", "WORD=a b"), 'echo "$WORD"', "a b"),
    Row(
        "process.env, the same twice",
        adding("process.env", "W=1", "W=2", "W=3"),
        "busybox env | busybox grep W=",
        "W=3",
    ),
    Row("process.env, HOME by itself", at("process.env", ["PATH=/bin"]), "echo $HOME", "/"),
    Row("process.user.uid", at("process.user.uid", 1234), "id -u", "1234"),
    Row("process.user.gid", at("process.user.gid", 4321), "id -g", "4321"),
    Row(
        "process.user.additionalGids",
        at("process.user.additionalGids", [5, 6]),
        "id -G",
        "0 5 6",
    ),
    Row("process.user.umask", at("process.user.umask", 0o077), "umask", "0077"),
    Row("process.user.umask, none", together(), "umask", "0022"),
    Row(
        "process.rlimits",
        _rlimit("RLIMIT_NOFILE", 123, 456),
        "ulimit -Sn; ulimit -Hn",
        "123\n456",
    ),
    Row(
        "process.rlimits, more of them",
        at(
            "process.rlimits",
            [
                {"type": "RLIMIT_CORE", "soft": 1024, "hard": 2048},
                {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
                {"type": "RLIMIT_FSIZE", "soft": 1 << 30, "hard": 1 << 31},
                {"type": "RLIMIT_CPU", "soft": 100, "hard": 200},
                {"type": "RLIMIT_MSGQUEUE", "soft": 1000, "hard": 2000},
            ],
        ),
        "busybox grep -E 'core|stack|file size|cpu|msgqueue' /proc/self/limits",
        r".*cpu time +100 +200 .*file size +1073741824 +2147483648.*stack size +1048576 +2097152"
        r".*core file size +1024 +2048.*msgqueue size +1000 +2000.*",
    ),
    *(
        Row(
            f"process.capabilities.{one}",
            at("process.capabilities", _capabilities(*sets)),
            STATUS,
            wanted,
            nightly=one in {"permitted", "inheritable"},
        )
        for one, sets, wanted in (
            ("bounding", ("bounding",), _status(Bnd=BIND)),
            (
                "effective",
                ("bounding", "effective", "permitted"),
                _status(Prm=BIND, Eff=BIND, Bnd=BIND),
            ),
            ("permitted", ("bounding", "permitted"), _status(Prm=BIND, Eff=BIND, Bnd=BIND)),
            (
                "inheritable",
                ("bounding", "inheritable"),
                _status(Inh=BIND, Bnd=BIND),
            ),
            ("ambient", SETS, _status(Inh=BIND, Prm=BIND, Eff=BIND, Bnd=BIND, Amb=BIND)),
        )
    ),
    Row(
        "process.capabilities.ambient, of another user",
        together(
            at("process.capabilities", _capabilities(*SETS)),
            at("process.user.uid", 1000),
        ),
        STATUS,
        _status(Inh=BIND, Prm=BIND, Eff=BIND, Bnd=BIND, Amb=BIND),
    ),
    Row(
        "process.capabilities, none",
        at("process.capabilities", {name: [] for name in SETS}),
        STATUS,
        _status(),
    ),
    Row(
        "process.noNewPrivileges",
        at("process.noNewPrivileges", True),
        "busybox grep NoNewPrivs /proc/self/status",
        r"NoNewPrivs:\t1",
    ),
    Row(
        "process.noNewPrivileges, off",
        at("process.noNewPrivileges", False),
        "busybox grep NoNewPrivs /proc/self/status",
        r"NoNewPrivs:\t0",
        nightly=True,
    ),
    Row(
        "process.oomScoreAdj",
        at("process.oomScoreAdj", 500),
        "cat /proc/self/oom_score_adj",
        "500",
    ),
    Row(
        "process.scheduler",
        at("process.scheduler", {"policy": "SCHED_BATCH", "nice": 5}),
        SCHEDULE,
        "5 0 3",
        peer=NOBODY,
    ),
    Row(
        "process.scheduler, of real time",
        at(
            "process.scheduler",
            {"policy": "SCHED_FIFO", "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        ),
        "busybox awk '{print $40, $41}' /proc/1/stat",
        "7 1",
        peer=NOBODY,
    ),
    Row(
        "process.ioPriority",
        at("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 6}),
        "busybox ionice -p $$",
        "best-effort: prio 6",
        peer=NOBODY,
    ),
    Row("the exit status", together(), "exit 7", "", code=7),
    Row(
        "the exit status of a child that died by a signal",
        together(),
        "sh -c 'kill -9 $$'; exit $?",
        "(Killed)?",
        code=137,
        same=False,
        nightly=True,
    ),
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
        peer="crun",
    ),
)
