"""What of the host is in use, so that a test can show that nothing was left behind.

Take a `snapshot` before and ask `wait_settled` after. Processes count if they descend from the
test process, which adopts orphans for that purpose, or if their command line names a root of
the scope; mounts, control groups and sockets count if they are in scope, so that tests may run
beside each other. Links and network namespaces have names that say nothing of their owner, nor
have the control groups below our own parent: a test that runs beside others leaves those to the
end of the session (`host_wide`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclos.linux import fork, mountinfo, pid
from enclos.linux.cgroup import layout

HOST_WIDE: Final = frozenset({"link", "network namespace"})
WORD: Final = f"enclostest{os.getpid()}x"
"""How names of this process' own things begin that are in no directory of its own."""
_OWN_GROUPS: Final = "/enclos/"
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to the test: things below `roots`, or with one of `words` in their name."""

    roots: tuple[Path, ...] = ()
    words: tuple[str, ...] = (WORD,)
    alone: bool = True
    """Whether nobody else uses the host meanwhile."""
    others: tuple[str, ...] = ()
    """In the command lines of the session's own daemons, which come and go meanwhile."""

    def holds(self, text: str) -> bool:
        """Whether a thing that is described by `text` belongs to the test."""
        return any(word in text for word in (*self.words, *map(str, self.roots)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything in use, one line of text per thing, by kind of thing."""

    things: dict[str, frozenset[str]]


def alone() -> bool:
    """Whether this process runs all tests there are at the moment."""
    return "PYTEST_XDIST_WORKER" not in os.environ


def snapshot(scope: Scope | None = None) -> Snapshot:
    """What is in use now; from now on the test process adopts orphans of its descendants."""
    fork.become_subreaper()
    chosen = scope or Scope()
    kinds = _LOOKS.keys() if chosen.alone else _LOOKS.keys() - HOST_WIDE
    return Snapshot({kind: frozenset(_LOOKS[kind](chosen)) for kind in kinds})


def host_wide() -> Snapshot:
    """Only what the whole host shares and nobody's name is on."""
    things = {kind: frozenset(_LOOKS[kind](Scope())) for kind in HOST_WIDE}
    groups = Scope(words=(_OWN_GROUPS,))
    return Snapshot({**things, "control group": frozenset(_cgroups(groups))})


def difference(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """What is in `after` and was not in `before`, by kind; empty if nothing is."""
    found = {kind: sorted(after.things[kind] - before.things[kind]) for kind in after.things}
    return {kind: lines for kind, lines in found.items() if lines}


def wait_settled(
    before: Snapshot, scope: Scope | None = None, *, timeout_s: float = 10
) -> dict[str, list[str]]:
    """The difference to `before` once it is empty, or at the time limit."""
    deadline = time.monotonic() + timeout_s
    while True:
        reap_adopted()
        left = difference(before, snapshot(scope))
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(_POLL_S)


def reap_adopted() -> None:
    """Collect the zombies of this process; call when no test waits for a child of its own."""
    while True:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            return


def _processes(scope: Scope) -> Iterator[str]:
    me = os.getpid()
    parents = {number: pid.parent(number) for number in pids() if number != me}
    for number in parents:
        words = command_line(number)
        if any(other in words for other in scope.others):
            continue
        named = any(os.fspath(root) in words for root in scope.roots)
        if named or _descends(number, parents, me):
            yield f"{number} {pid.start_time(number)} {words}"


def _descends(number: int, parents: dict[int, int], ancestor: int) -> bool:
    while number in parents:
        number = parents[number]
        if number == ancestor:
            return True
    return False


def command_line(number: int) -> str:
    """The words of a process; empty if it has gone."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes()
        return words.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def pids() -> list[int]:
    """Every process there is."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _mounts(scope: Scope) -> Iterator[str]:
    for entry in mountinfo.entries():
        line = f"{entry.target} {entry.fstype} {entry.source} {entry.super_options}"
        if scope.holds(line):
            yield line


def _cgroups(scope: Scope) -> Iterator[str]:
    found = layout.detect()
    mounts = [hierarchy.mount for hierarchy in found.legacy]
    for mount in [*mounts, *([found.unified] if found.unified else [])]:
        for place, _, _ in os.walk(mount):
            if place != os.fspath(mount) and scope.holds(place):
                yield place


def _links(_scope: Scope) -> Iterator[str]:
    """All links of this network namespace: their names are short and say little."""
    lines = Path("/proc/thread-self/net/dev").read_text(encoding="utf-8").splitlines()
    yield from (line.partition(":")[0].strip() for line in lines if ":" in line)


def _network_namespaces(_scope: Scope) -> Iterator[str]:
    for place in ("/run/netns", "/run/docker/netns"):
        yield from (f"{place}/{name}" for name in _names(place))


def _sockets(scope: Scope) -> Iterator[str]:
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and scope.holds(fields[7]):
            yield fields[7]


def _files(scope: Scope) -> Iterator[str]:
    for root in scope.roots:
        for place, directories, names in os.walk(root):
            yield from (f"{place}/{name}" for name in (*directories, *names))


def _loops(scope: Scope) -> Iterator[str]:
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            line = f"{device.parent.parent.name} {device.read_text().strip()}"
        except OSError:
            continue  # detached meanwhile
        if scope.holds(line):
            yield line


def _memory_files(_scope: Scope) -> Iterator[str]:
    """memfds of this process and its descendants."""
    me = os.getpid()
    parents = {number: pid.parent(number) for number in pids() if number != me}
    for number in (me, *(other for other in parents if _descends(other, parents, me))):
        for target in _descriptors(number):
            if target.startswith("/memfd:"):
                yield f"{number} {target}"


def _own_descriptors(_scope: Scope) -> Iterator[str]:
    """Descriptors of the test process itself, which outlive a careless test."""
    for target in _descriptors(os.getpid()):
        if not target.startswith(f"/proc/{os.getpid()}/fd"):
            yield target


def _descriptors(number: int) -> Iterator[str]:
    for name in _names(f"/proc/{number}/fd"):
        try:
            yield os.readlink(f"/proc/{number}/fd/{name}")
        except OSError:
            continue  # closed meanwhile, the listing's own descriptor for one


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except OSError:
        return []


_LOOKS: Final[dict[str, Callable[[Scope], Iterator[str]]]] = {
    "process": _processes,
    "mount": _mounts,
    "control group": _cgroups,
    "link": _links,
    "network namespace": _network_namespaces,
    "socket": _sockets,
    "file": _files,
    "loop device": _loops,
    "memory file": _memory_files,
    "own descriptor": _own_descriptors,
}
