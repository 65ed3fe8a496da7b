"""The table of verbs, runc's and crun's together: parser, help and manual page read it.

Flags that mean nothing to a runtime whose containers are virtual machines are taken and
ignored, because engines send them; what would mean something and is not there is refused.
"""

from __future__ import annotations

from enclos.ocicli.grammar import Flag, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

HELP: Final = Flag("help", "show this help", short="h")

GLOBAL: Final = (
    Flag("root", "where containers are written down", meta="DIR"),
    Flag("log", "append messages to FILE", meta="FILE"),
    Flag("log-format", "form of the messages: text or json", meta="FORMAT",
         choices=("text", "json")),
    Flag("debug", "more messages"),
    Flag("systemd-cgroup", "linux.cgroupsPath has the form slice:prefix:name"),
    Flag("cgroup-manager", "form of linux.cgroupsPath; disabled: use no control groups",
         meta="NAME", choices=("cgroupfs", "systemd", "disabled")),
    Flag("rootless", "ignored: true, false or auto", meta="WHEN", ignored=True),
    Flag("criu", "ignored: path of criu", meta="PATH", ignored=True),
    HELP,
    Flag("version", "show the version", short="v"),
)  # fmt: skip

_NO_LABEL: Final = "the guest has no policy of the host's"
_NO_CHECKPOINTS: Final = "this runtime makes no checkpoints"

_BUNDLE: Final = Flag("bundle", "directory with config.json, by default the current one",
                      short="b", meta="DIR")  # fmt: skip
_CONSOLE: Final = Flag("console-socket", "unix socket that is sent the terminal", meta="PATH")
_PID_FILE: Final = Flag("pid-file", "write the pid to this file", meta="FILE")
_PRESERVE: Final = Flag("preserve-fds", "pass N more file descriptors on", meta="N")
_PIDFD: Final = Flag("pidfd-socket", "unix socket that is sent a pidfd", meta="PATH")
_DETACH: Final = Flag("detach", "do not wait for its end", short="d")
_IGNORED: Final = (
    Flag("no-pivot", "ignored: the guest always pivots", ignored=True),
    Flag("no-new-keyring", "ignored: the guest makes a keyring", ignored=True),
    Flag("no-subreaper", "ignored", ignored=True),
)
_CREATE: Final = (
    _BUNDLE,
    Flag("config", "use this file instead of the bundle's config.json", short="f", meta="FILE"),
    _CONSOLE,
    _PID_FILE,
    _PRESERVE,
    _PIDFD,
    *_IGNORED,
)
_EXEC: Final = (
    Flag("process", "file with the process, as process in config.json", short="p", meta="FILE"),
    _CONSOLE,
    _PID_FILE,
    _DETACH,
    Flag("tty", "give it a terminal", short="t"),
    Flag("cwd", "working directory in the container", meta="DIR"),
    Flag("env", "set a variable; may be given several times", short="e", meta="NAME=VALUE"),
    Flag("user", "user and group by number", short="u", meta="UID[:GID]"),
    Flag("additional-gids", "one more group; may be given several times", short="g", meta="GID"),
    Flag("cap", "add a capability; may be given several times", short="c", meta="NAME"),
    Flag("no-new-privs", "it cannot gain privileges"),
    Flag("ignore-paused", "wait for a paused container instead of failing"),
    _PRESERVE,
    _PIDFD,
    Flag("cgroup", "cgroup below the container's", meta="PATH",
         refused="the guest puts every process into the container's cgroup"),
    Flag("process-label", "SELinux label", meta="LABEL", refused=_NO_LABEL),
    Flag("apparmor", "AppArmor profile", meta="PROFILE", refused=_NO_LABEL),
    *_IGNORED,
)  # fmt: skip
_UPDATE: Final = (
    Flag("resources", "file with linux.resources; - is standard input", short="r", meta="FILE"),
    Flag("blkio-weight", "weight of its block I/O, 10 to 1000", meta="NUMBER"),
    Flag("cpu-period", "period of the CPU limit in microseconds", meta="NUMBER"),
    Flag("cpu-quota", "CPU time in a period in microseconds; -1: no limit", meta="NUMBER"),
    Flag("cpu-burst", "CPU time it may save up, in microseconds", meta="NUMBER"),
    Flag("cpu-share", "relative weight of CPU time", meta="NUMBER"),
    Flag("cpu-rt-period", "refused by the guest, which has no realtime limits", meta="NUMBER"),
    Flag("cpu-rt-runtime", "refused by the guest, which has no realtime limits", meta="NUMBER"),
    Flag("cpuset-cpus", "CPUs of the host that it may use, such as 0-1", meta="LIST"),
    Flag("cpuset-mems", "memory nodes of the host that it may use", meta="LIST"),
    Flag("cpu-idle", "1: only time that nobody else wants", meta="NUMBER"),
    Flag("memory", "memory limit, such as 512M; -1: no limit", meta="SIZE"),
    Flag("memory-reservation", "memory that is left to it when memory is short", meta="SIZE"),
    Flag("memory-swap", "memory and swap together; -1: no limit", meta="SIZE"),
    Flag("kernel-memory", "without effect: the guest's cgroup v2 has no such limit", meta="SIZE"),
    Flag("kernel-memory-tcp", "without effect, as --kernel-memory", meta="SIZE"),
    Flag("pids-limit", "how many processes and threads; -1: no limit", meta="NUMBER"),
    Flag("l3-cache-schema", "Intel RDT: L3 cache of the machine", meta="TEXT"),
    Flag("mem-bw-schema", "Intel RDT: memory bandwidth of the machine", meta="TEXT"),
)
_FORMAT: Final = Flag("format", "table or json", short="f", meta="FORMAT",
                      choices=("table", "json"))  # fmt: skip

VERBS: Final = (
    Verb("create", "make a container and its virtual machine", "ID", least=1, most=1,
         flags=_CREATE,
         about="The container's program does not run before `start`. A program, directory or "
               "user that does not exist is found out here."),
    Verb("start", "run the program of a created container", "ID", least=1, most=1),
    Verb("state", "print what a container is, as JSON", "ID", least=1, most=1),
    Verb("kill", "send a signal to a container's first process", "ID [SIGNAL]", least=1, most=2,
         flags=(Flag("all", "to all of its processes", short="a"),),
         about="SIGNAL is a number or a name such as KILL, SIGKILL or RTMIN+3, by default TERM. "
               "0 sends nothing and fails if there is nobody to send to."),
    Verb("delete", "remove a container that has stopped", "ID", least=1, most=1,
         flags=(Flag("force", "kill it first; no error if there is none", short="f"),
                Flag("regex", "ID is a pattern", refused="delete containers one by one")),
         about="What is left of its virtual machine goes with it, also after a crash."),
    Verb("run", "create, start, wait and delete in one", "ID", least=1, most=1,
         flags=(*_CREATE, _DETACH, Flag("keep", "do not delete it when it has ended")),
         about="The exit status is the program's; 128+N if signal N ended it; 1 if there was "
               "an error before."),
    Verb("exec", "run one more process in a running container", "ID [COMMAND [ARG…]]", least=1,
         most=None, stops=True, flags=_EXEC,
         about="Without --detach, the exit status is the process's, or 128+N for signal N."),
    Verb("list", "list containers", flags=(
         _FORMAT, Flag("quiet", "print ids only", short="q"))),
    Verb("ps", "list a container's processes", "ID [PS-OPTION…]", least=1, most=None, stops=True,
         flags=(_FORMAT,),
         about="The table shows the guest's processes; JSON is the list of the pids that stand "
               "for them on the host."),
    Verb("pause", "stop all processes of a container for a while", "ID", least=1, most=1),
    Verb("resume", "let a paused container's processes go on", "ID", least=1, most=1),
    Verb("spec", "write a config.json to begin with",
         flags=(Flag("bundle", "directory to write it to, by default the current one",
                     short="b", meta="DIR"),
                Flag("rootless", "one for a user without privileges"))),
    Verb("features", "print what this runtime can do, as JSON"),
    Verb("plan", "print what `create` would do, as JSON, and do nothing", "[BUNDLE]", most=1),
    Verb("update", "change a container's limits while it runs", "ID", least=1, most=1,
         flags=_UPDATE,
         about="What is not named stays as it is. The virtual machine grows where the container "
               "could not reach its new memory limit in it; it does not shrink."),
    Verb("events", "print a container's statistics as JSON", "ID", least=1, most=1,
         flags=(Flag("interval", "time between two, such as 10s; by default 5s", meta="DURATION"),
                Flag("stats", "print them once, now")),
         about="One object a line, until the container ends; and one of type oom each time the "
               "kernel kills something in it for want of memory. The figures are those of its "
               "cgroup in the guest."),
    Verb("checkpoint", "save a container (refused)", "ID", least=1, most=1,
         refused=_NO_CHECKPOINTS),
    Verb("restore", "restore a saved container (refused)", "ID", least=1, most=1,
         refused=_NO_CHECKPOINTS),
)  # fmt: skip


def find(name: str) -> Verb | None:
    """The verb called so."""
    return next((verb for verb in VERBS if verb.name == name), None)
