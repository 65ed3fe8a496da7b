"""What is written down about containers, sandboxes and exec processes.

Frozen dataclasses, kept as JSON files by `store`. A record is believed only as far as the
kernel agrees: `current_status` compares pids with their start times. The file that the fast
verb `state` prints is rendered here as well, whenever a container's record is saved.
"""

from __future__ import annotations

import json
import time
from dataclasses import field
from pathlib import Path
from typing import Final, TypeVar

from enclos.errors import NotFound, Unclean
from enclos.linux.pid import ProcessRef
from enclos.state import store
from enclos.state.fast import SEPARATOR, STATE_FILE
from enclos.state.store import StateRoot
from enclos.structs import dataclass
from enclos.wire import codec

FORMAT: Final = 1
_RECORD: Final = "record.json"
_EXECS: Final = "execs"
_LONGEST_NAME: Final = 100
"""Bytes of an exec id that a file name can hold in hexadecimal digits."""
_NOBODY: Final = -1
"""A pid that no process has, for a container that runs but whose sandbox has no record."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container. Times are RFC 3339 in UTC with nanoseconds, empty if not yet.

    `status` is creating, created, running, paused or stopped; `pid` and `pid_start` are the
    stand-in's on the host, 0 before there is one.
    """

    id: str
    sandbox_id: str
    bundle: str
    rootfs: str
    created: str
    pid: int = 0
    pid_start: int = 0
    status: str = "creating"
    started_at: str = ""
    finished_at: str = ""
    exit_status: int | None = None
    exit_reason: str = ""
    annotations: dict[str, str] = field(default_factory=dict[str, str])
    owner: str = ""
    oci_version: str = "1.2.0"
    terminal: bool = False
    cgroup: str = ""
    format: int = FORMAT

    @property
    def process(self) -> ProcessRef:
        """The stand-in."""
        return ProcessRef(self.pid, self.pid_start)


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    """A sandbox: its supervisor, its machine, its containers in order of creation."""

    id: str
    supervisor_pid: int
    supervisor_start: int
    created: str
    accelerator: str
    template: str
    vcpus: int
    memory_bytes: int
    kernel: str
    containers: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def supervisor(self) -> ProcessRef:
        """The supervisor."""
        return ProcessRef(self.supervisor_pid, self.supervisor_start)


@dataclass(frozen=True, slots=True)
class ExecRecord:
    """An exec process by its stand-in; `exit_status` is None while it runs."""

    exec_id: str
    pid: int
    pid_start: int
    exit_status: int | None = None
    format: int = FORMAT

    @property
    def process(self) -> ProcessRef:
        """The stand-in."""
        return ProcessRef(self.pid, self.pid_start)


def now() -> str:
    """This moment as records write it."""
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def encode_container(record: ContainerRecord) -> str:
    """The record as JSON text."""
    return codec.encode(record).decode("utf-8", "surrogateescape")


def decode_container(text: str) -> ContainerRecord:
    """The record that `text` spells; raises `CodecError`."""
    return codec.decode(ContainerRecord, text.encode("utf-8", "surrogateescape"))


def save_container(root: StateRoot, record: ContainerRecord) -> None:
    """Write the record and what `state` prints; raises `OSError`.

    The container's sandbox, if it has a record, is what `state` checks beside the stand-in.
    """
    directory = root.container(record.id)
    store.write_file(directory / _RECORD, codec.encode(record))
    supervisor = ProcessRef(0, 0)
    if record.sandbox_id and (root.sandbox(record.sandbox_id) / _RECORD).exists():
        supervisor = load_sandbox(root, record.sandbox_id).supervisor
    store.write_file(directory / STATE_FILE, render(record, supervisor))


def load_container(root: StateRoot, container_id: str) -> ContainerRecord:
    """The record as written; raises `NotFound`, and `Unclean` for a damaged one.

    A container that is still being created has no record: `NotFound` as well.
    """
    path = root.container(container_id) / _RECORD
    try:
        return _load(ContainerRecord, path)
    except FileNotFoundError as error:
        raise NotFound(f"container {container_id}: container does not exist") from error


def remove_container(root: StateRoot, container_id: str) -> None:
    """Remove everything written about a container; gone already is done."""
    store.remove(root.container(container_id))


def is_abandoned(root: StateRoot, container_id: str) -> bool:
    """Whether an id is taken without a record by somebody who died before writing it."""
    directory = root.container(container_id)
    if (directory / _RECORD).exists() or not directory.exists():
        return False
    creator = store.creator(directory)
    return creator is None or not creator.alive()


def all_containers(root: StateRoot) -> list[ContainerRecord]:
    """Every container's record, oldest first; raises `Unclean` for a damaged one."""
    found: list[ContainerRecord] = []
    for name in root.container_ids():
        try:
            found.append(load_container(root, name))
        except NotFound:
            continue  # being created, or just deleted
    return sorted(found, key=lambda record: record.created)


def save_sandbox(root: StateRoot, record: SandboxRecord) -> None:
    """Write the record; raises `OSError`."""
    store.write_file(root.sandbox(record.id) / _RECORD, codec.encode(record))


def load_sandbox(root: StateRoot, sandbox_id: str) -> SandboxRecord:
    """The record as written; raises `NotFound`, and `Unclean` for a damaged one."""
    try:
        return _load(SandboxRecord, root.sandbox(sandbox_id) / _RECORD)
    except FileNotFoundError as error:
        raise NotFound(f"sandbox {sandbox_id} does not exist") from error


def remove_sandbox(root: StateRoot, sandbox_id: str) -> None:
    """Remove everything written about a sandbox; gone already is done."""
    store.remove(root.sandbox(sandbox_id))


def save_exec(root: StateRoot, container_id: str, record: ExecRecord) -> None:
    """Write an exec process' record; raises `OSError`."""
    directory = root.container(container_id) / _EXECS
    store.make_directory(directory)
    store.write_file(directory / f"{_file_of(record.exec_id)}.json", codec.encode(record))


def remove_exec(root: StateRoot, container_id: str, exec_id: str) -> None:
    """Remove an exec process' record; gone already is done."""
    store.remove_file(root.container(container_id) / _EXECS / f"{_file_of(exec_id)}.json")


def all_execs(root: StateRoot, container_id: str) -> list[ExecRecord]:
    """The exec processes of a container; raises `Unclean` for a damaged record."""
    found: list[ExecRecord] = []
    for path in sorted((root.container(container_id) / _EXECS).glob("*.json")):
        try:
            found.append(_load(ExecRecord, path))
        except FileNotFoundError:
            continue  # ended meanwhile
    return found


def _file_of(exec_id: str) -> str:
    """A file name for any exec id: engines make them up, and not by our rules."""
    name = exec_id.encode("utf-8", "surrogateescape")
    if len(name) <= _LONGEST_NAME:
        return name.hex()
    import hashlib  # late: few ids are so long, and not every verb has the time

    return f"sha256-{hashlib.sha256(name).hexdigest()}"


def _load(kind: type[T], path: Path) -> T:
    try:
        return codec.decode(kind, store.read_file(path))
    except codec.CodecError as error:
        raise Unclean(
            f"the state file {path} is damaged or of another version: {error}",
            hint="if nothing of it runs any more, delete with --force or run: enclos sweep",
        ) from error


def current_status(record: ContainerRecord, supervisor: ProcessRef | None) -> str:
    """The status that is true now: what is written, unless the processes behind it are dead.

    `supervisor` is None where the sandbox has no record any more.
    """
    if record.status in {"creating", "stopped"}:
        return record.status
    owned = supervisor is not None and supervisor.alive()
    alive = owned and (not record.pid or record.process.alive())
    return record.status if alive else "stopped"


def oci_state(record: ContainerRecord, *, status: str) -> dict[str, object]:
    """The state of the runtime specification, as `state` and `list` print it."""
    return {
        "ociVersion": record.oci_version,
        "id": record.id,
        "pid": 0 if status == "stopped" else record.pid,
        "status": status,
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
        "annotations": record.annotations,
        "owner": record.owner,
    }


def render(record: ContainerRecord, supervisor: ProcessRef) -> bytes:
    """What `state/fast` reads: whom to look for, the answer if they live, the answer if not."""
    checked = record.status not in {"creating", "stopped"}
    owner = supervisor.pid or _NOBODY
    refs = (record.pid, record.pid_start, owner, supervisor.start) if checked else (0, 0, 0, 0)
    header = " ".join([*map(str, refs), record.sandbox_id])
    answers = [
        json.dumps(oci_state(record, status=status), indent=2, ensure_ascii=False) + "\n"
        for status in (record.status, "stopped")
    ]
    text = SEPARATOR.join([header, *answers])
    return text.encode("utf-8", "surrogateescape")
