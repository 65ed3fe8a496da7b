"""A jail for one helper process: its own namespaces, a prepared directory as root, few rights.

The child makes its namespaces, pivots into `Jail.root`, drops ids and capabilities, *then* arms
its parent-death signal (every change of id clears it), makes sure that the parent still lives,
and executes the program. `pivot_root` and never `chroot`: user namespaces, which passt makes for
itself, are refused inside a chroot. The program is init of its own pid namespace, so whatever it
might start dies with it. Linux 3.8 and newer.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from enclos.errors import MachineFailed
from enclos.linux import capabilities, fork, libc
from enclos.linux.cgroup import group
from enclos.structs import dataclass

_NAMESPACES: Final = libc.CLONE_NEWNS | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS
_READ_ONLY: Final = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | libc.MS_NODEV | libc.MS_NOSUID
_REPORT_BYTES: Final = 4096
ARRIVAL_S: Final = 20.0
"""How long a program may take on its way into its jail."""


@dataclass(frozen=True, slots=True)
class Jail:
    """What a jailed process sees and may do.

    `root` must hold the empty directories /proc, /dev and the targets of `binds`, which are
    (host path, path in the jail) pairs that go on receiving the host's later mounts; the bound
    directory itself is read-only in the jail, what is mounted below it keeps its own rights.
    `capabilities` are the only ones left; a `uid` other than 0 keeps them as ambient ones.
    """

    root: str
    uid: int
    gid: int
    capabilities: frozenset[str] = frozenset()
    binds: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ("null", "zero", "urandom")
    network: int = -1
    """Descriptor of the network namespace it works in; without one it gets an empty one."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A process on its way into its jail; `confirm` says when it has arrived."""

    pid: int
    program: str
    status: socket.socket


def spawn(
    jail: Jail,
    argv: Sequence[str],
    *,
    keep: Sequence[int],
    output: int,
    entrance: Sequence[int] = (),
) -> Spawned:
    """Start `argv` in `jail` with the descriptors `keep` under their numbers.

    `output` becomes its stdout and stderr; `entrance` leads into its control group.
    Call from the main thread: the parent-death signal follows the thread that forked. Raises
    `OSError` if the kernel refuses the fork.
    """
    ours, theirs = socket.socketpair()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        pid = _fork_into_pid_namespace(own)
    finally:
        os.close(own)
    if pid == 0:
        ours.close()
        _become(jail, argv, keep=keep, output=output, status=theirs, entrance=entrance)
    theirs.close()
    return Spawned(pid, argv[0], ours)


def _fork_into_pid_namespace(own: int) -> int:
    """Fork a child that is init of a new pid namespace; later children are ours again."""
    libc.unshare(libc.CLONE_NEWPID)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            libc.setns(own, libc.CLONE_NEWPID)
    return pid


def confirm(spawned: Spawned, *, timeout_s: float = ARRIVAL_S) -> None:
    """Wait until the program runs; raises `MachineFailed` with the step that failed.

    A loop waits until `status` is readable and comes here afterwards, with a `timeout_s` of 0.
    """
    with spawned.status as status:
        status.settimeout(timeout_s)
        try:
            report = status.recv(_REPORT_BYTES)
        except (TimeoutError, BlockingIOError):
            report = b"the jail was not ready in time"
    if report:
        raise MachineFailed(f"cannot start {spawned.program}: {report.decode(errors='replace')}")


def reap(pid: int) -> None:
    """Kill a child and collect it; one that has been collected before is left alone.

    Its number may be somebody else's by then, so it is never killed without being our child.
    """
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    except ChildProcessError:
        return  # collected before: that is what was wanted


def _become(
    jail: Jail,
    argv: Sequence[str],
    *,
    keep: Sequence[int],
    output: int,
    status: socket.socket,
    entrance: Sequence[int],
) -> NoReturn:
    """In the child: walk into the jail and execute; any failure is reported and ends it."""
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("control group", lambda: group.enter(entrance)),
        ("own session", lambda: _detach(keep, output)),
        ("namespaces", lambda: _leave(jail)),
        ("file system", lambda: _enter(jail)),
        ("rights", lambda: _drop(jail)),
        ("parent check", lambda: fork.end_with(status)),
        ("exec", lambda: _execute(argv, keep=keep, status=status)),
    )
    step = ""
    try:
        for name, act in steps:
            step = name
            act()
    except BaseException as error:  # noqa: BLE001 - the last frame of a forked child
        status.send(f"{step}: {error}"[:_REPORT_BYTES].encode("utf-8", "replace"))
    os._exit(125)


def _detach(keep: Sequence[int], output: int) -> None:
    os.setsid()
    fork.reset_signals()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for number in keep:
        os.set_inheritable(number, True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _leave(jail: Jail) -> None:
    if jail.network < 0:
        libc.unshare(_NAMESPACES | libc.CLONE_NEWNET)
        return
    libc.unshare(_NAMESPACES)
    libc.setns(jail.network, libc.CLONE_NEWNET)


def _enter(jail: Jail) -> None:
    libc.mount("", "/", "", libc.MS_REC | libc.MS_SLAVE, "")
    libc.mount(jail.root, jail.root, "", libc.MS_BIND, "")
    os.chdir(jail.root)
    libc.mount("tmpfs", "dev", "tmpfs", libc.MS_NOSUID | libc.MS_NOEXEC, "mode=755,size=64k")
    for device in jail.devices:
        os.close(os.open(f"dev/{device}", os.O_CREAT | os.O_WRONLY, 0o600))
        libc.mount(f"/dev/{device}", f"dev/{device}", "", libc.MS_BIND, "")
    for source, target in jail.binds:
        libc.mount(source, target.lstrip("/"), "", libc.MS_BIND | libc.MS_REC, "")
        libc.mount("", target.lstrip("/"), "", _READ_ONLY, "")
    proc = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    libc.mount("proc", "proc", "proc", proc, "")
    libc.mount("", ".", "", _READ_ONLY, "")
    libc.pivot_root(".", ".")
    libc.umount2(".", libc.MNT_DETACH)
    os.chdir("/")


def _drop(jail: Jail) -> None:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    os.setgroups([])
    os.setresgid(jail.gid, jail.gid, jail.gid)
    capabilities.bound(jail.capabilities)
    libc.prctl(libc.PR_SET_KEEPCAPS, bool(jail.capabilities))
    os.setresuid(jail.uid, jail.uid, jail.uid)
    if jail.uid == 0 or jail.capabilities:
        capabilities.limit(jail.capabilities)
    if jail.uid != 0:
        capabilities.raise_ambient(jail.capabilities)


def _execute(argv: Sequence[str], *, keep: Sequence[int], status: socket.socket) -> None:
    fork.close_fds_except({0, 1, 2, *keep, status.fileno()})
    os.execve(argv[0], list(argv), {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
