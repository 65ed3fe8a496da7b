"""A containerd of a test's own with private roots and sockets, and `ctr` for it.

It is the host's, or that of the release of Debian that `ENCLOS_TEST_CONTAINERD_SUITE` names.

Enclos is a runtime there by its shim's launcher, found beside others in the daemon's PATH. Images
come from an archive made here. Nothing is left when the context ends.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from enclos.linux import pidfd
from enclos.linux.cgroup import layout
from enclos.plan import containerdconfig
from enclos.shim.proto import task_pb2
from tests.support import commands, daemons, dockerd, launchers, otherroot, waiting
from tests.support.cli import Programs
from tests.support.commands import Answer
from tests.support.netns import Netns
from tests.support.ttrpc import Client

DAEMON: Final = "/usr/bin/containerd"
CLIENT: Final = "/usr/bin/ctr"
PREFIX: Final = "enclos-ctd-"
"""Of the directory of a daemon of ours, which its command line names."""
SERVING: Final = f"{DAEMON} --config "
"""In the daemon's own command line, and in none of its shims'."""
PACKAGES: Final = (
    "containerd", "runc", "containernetworking-plugins", "python3", "iproute2", "iptables",
)  # fmt: skip
"""What another release of Debian needs for it."""
IMAGE: Final = "docker.io/library/busybox:test"
PAUSE: Final = "docker.io/library/pause:test"
RUNTIME: Final = "io.containerd.enclos.v2"
RUNC: Final = "io.containerd.runc.v2"
TASK: Final = "containerd.task.v2.Task"
TIMEOUT_S: Final = 90
_CONFIG: Final = """\
version = 2
root = "{data}"
state = "{place}/state"
disabled_plugins = [{disabled}]
[grpc]
address = "{place}/c.sock"
[debug]
level = "debug"
"""
_CRI: Final = """[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
stream_server_address = "127.0.0.1"
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{place}/cni"
"""
_BLOCKFILE: Final = """[plugins."io.containerd.snapshotter.v1.blockfile"]
root_path = "{data}/blockfile"
scratch_file = "{data}/scratch"
fs_type = "ext4"
"""
_SCRATCH_BYTES: Final = 64 << 20
_SANDBOXES: Final = """[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}]
runtime_type = "{launcher}"
sandboxer = "shim"
pod_annotations = ["io.enclos.*"]
"""
SANDBOXES: Final = "enclos-sandboxes"
"""A handler whose pods the shim makes; containerd 2 has them."""
_NETWORK: Final = """{"cniVersion": "0.4.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "pods0", "isGateway": true,
  "ipam": {"type": "host-local", "dataDir": "PLACE/ipam", "subnet": "10.77.0.0/24"}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
"""
wait_for: Final = waiting.until
_END_S: Final = 60
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Event:
    """One of a task's events."""

    topic: str
    fields: dict[str, Any]


@dataclass
class Containerd:
    """A running daemon. `place` is short, as sockets are in it; `data` holds its images.

    The namespace is this process' own, as parents of control groups are named after it.
    """

    programs: Programs
    place: Path
    data: Path
    namespace: str = field(default_factory=lambda: f"ctd{os.getpid()}")
    cri: bool = False
    """Whether it has the plugin for Kubernetes, and a network namespace of its own."""
    enter: tuple[str, ...] = ()
    """The words that enter the root it lives in, if it is not the host's."""
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    def __call__(self, *words: str, stdin: bytes | None = None) -> Answer:
        """`ctr WORDS…` to its end."""
        return commands.run(self.command(*words), stdin=stdin, timeout_s=TIMEOUT_S)

    def command(self, *words: str) -> list[str]:
        """`ctr WORDS…` as an argument list."""
        return [
            *self.enter,
            CLIENT,
            "--address",
            f"{self.place}/c.sock",
            "-n",
            self.namespace,
            *words,
        ]

    def ok(self, *words: str, stdin: bytes | None = None) -> str:
        """The same, which must succeed; what it printed, without the last line's end."""
        answer = self(*words, stdin=stdin)
        assert answer.code == 0, f"ctr {words} ended with {answer.code}: {answer.err}\n{self.log()}"
        return answer.out.rstrip("\n")

    def run(
        self,
        name: str,
        *words: str,
        runtime: str = RUNTIME,
        flags: Sequence[str] = (),
        stdin: bytes | None = None,
    ) -> Answer:
        """`ctr run --rm` of a program in the image."""
        command = ("run", "--rm", "--runtime", runtime, *flags, IMAGE, name, *words)
        return self(*command, stdin=stdin)

    @contextmanager
    def detached(
        self, name: str, script: str, *, runtime: str = RUNTIME, flags: Sequence[str] = ()
    ) -> Iterator[str]:
        """A task that runs a shell script for the time of the block; its name."""
        words = (IMAGE, name, "sh", "-c", script)
        self.ok("run", "-d", "--runtime", runtime, *flags, *words)
        try:
            yield name
        finally:
            self.remove(name)

    def exec(self, name: str, *words: str, flags: Sequence[str] = ()) -> Answer:
        """`ctr tasks exec` of a program in a task."""
        number = next(self._numbers)
        return self("tasks", "exec", "--exec-id", f"e{number}", *flags, name, *words)

    def shim(self, name: str) -> int:
        """The pid of the process that serves a task."""
        with closing(Client.dial(self.socket(name))) as client:
            request = task_pb2.ConnectRequest(id=name)
            answer = client.call(TASK, "Connect", request, task_pb2.ConnectResponse)
        return answer.shim_pid

    def socket(self, name: str) -> Path:
        """Where it listens."""
        return Path((self.bundle(name) / "address").read_text().removeprefix("unix://"))

    @contextmanager
    def events(self) -> Iterator[Callable[[str], list[Event]]]:
        """What is called in the block with a container's name gives its tasks' events so far."""
        with tempfile.TemporaryFile() as file:
            process = subprocess.Popen(self.command("events"), stdout=file, stderr=file)
            try:
                wait_for(lambda: self._is_told(file.fileno()), self.log)
                yield lambda name: _events(_content(file.fileno()), name)
            finally:
                process.kill()
                process.wait(_END_S)

    def _is_told(self, descriptor: int) -> bool:
        """Whether an event of ours arrives."""
        self.ok("images", "label", IMAGE, f"seen={next(self._numbers)}")
        return bool(_content(descriptor))

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._entrance(), DAEMON, "--config", self.place / "config.toml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    "PATH": f"{self.place}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME": os.fspath(self.place),
                },
            )
        wait_for(lambda: not self("version").code, self.log)

    @property
    def major(self) -> int:
        """The first number of its version."""
        words = subprocess.check_output([*self.enter, DAEMON, "--version"], text=True).split()
        return int(words[2].removeprefix("v").split(".")[0])

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be in its network namespace, where sockets that are made meanwhile belong."""
        descriptor = os.open(f"/run/netns/{self.place.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with Netns(descriptor).entered():
                yield
        finally:
            os.close(descriptor)

    def _entrance(self) -> list[str]:
        network = ["nsenter", f"--net=/run/netns/{self.place.name}"] if self.cri else []
        return [*network, *self.enter]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the daemon with a signal and wait for its end; containers live on."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(_END_S)

    def log(self) -> str:
        """The end of what the daemon and its shims wrote."""
        return (self.place / "log").read_text(errors="replace")[-6000:]

    def bundle(self, name: str) -> Path:
        """A task's bundle."""
        return self.place / "state/io.containerd.runtime.v2.task" / self.namespace / name

    def tasks(self) -> dict[str, tuple[int, str]]:
        """Pid and status of each task, by id."""
        rows = [line.split() for line in self.ok("tasks", "ls").splitlines()[1:]]
        return {row[0]: (int(row[1]), row[2]) for row in rows}

    def wait_task(self, name: str, status: str) -> None:
        """Wait until a task has this status."""
        wait_for(lambda: self.tasks().get(name, (0, ""))[1] == status, self.log)

    def deleted(self, name: str) -> int:
        """Delete a task that has ended; the status that it ended with."""
        answer = self("tasks", "delete", name)
        assert answer.code == 0, answer.err
        _, separator, status = answer.err.strip().rstrip('"').rpartition("exit code ")
        return int(status) if separator else 0

    def remove(self, name: str) -> None:
        """Remove a container and its task, whatever their state."""
        self("tasks", "kill", "--signal", "SIGKILL", name)
        for _ in range(100):
            gone = self("tasks", "delete", "--force", name)
            if not gone.code or "not found" in gone.err:
                break
            time.sleep(_POLL_S)
        self("containers", "delete", name)


@contextmanager
def running(programs: Programs, data: Path, *, cri: bool = False) -> Iterator[Containerd]:
    """A daemon with the image `IMAGE`, gone with all its containers afterwards."""
    with ExitStack() as stack:
        enter = stack.enter_context(_root(programs, data.parent))
        home = Path(tempfile.gettempdir()) if enter else Path("/run")
        name = f"{PREFIX}{os.getpid()}"
        daemon = Containerd(programs, home / name, data, cri=cri, enter=enter)
        if cri:
            daemon.place = daemon.place.with_name(f"{name}-cri")
            daemon.namespace = "k8s.io"
        daemon.place.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, daemon.place)
        _prepare(daemon)
        if cri:
            subprocess.run(["ip", "netns", "add", daemon.place.name], check=True, timeout=30)
            stack.callback(
                subprocess.run, ["ip", "netns", "del", daemon.place.name], check=True, timeout=30
            )
            loopback = ["ip", "-n", daemon.place.name, "link", "set", "lo", "up"]
            subprocess.run(loopback, check=True, timeout=30)
        stack.callback(_remove_cgroups, daemon.place.name if cri else daemon.namespace)
        stack.callback(daemons.unmount, daemon.place, daemon.data)
        stack.callback(_end, daemon)
        daemon.start()
        for name, command in ((IMAGE, ["sh"]), (PAUSE, ["sleep", "1000000"])):
            archive = daemon.place / "image.tar"
            archive.write_bytes(image(name, command))
            daemon.ok("images", "import", os.fspath(archive))
        stack.callback(_remove_containers, daemon)
        yield daemon


@contextmanager
def _root(programs: Programs, files: Path) -> Iterator[tuple[str, ...]]:
    """The words that enter the root with containerd in it; none for the host's own.

    What a test mounts below `files` is seen in either.
    """
    suite = os.environ.get("ENCLOS_TEST_CONTAINERD_SUITE", "")
    if suite:
        with (
            _propagating(files),
            otherroot.with_ours(suite, PACKAGES, programs.data_root) as enter,
        ):
            yield (shutil.which(enter[0]) or enter[0], *enter[1:])
        return
    for program in (DAEMON, CLIENT):
        if not os.access(program, os.X_OK):
            pytest.skip(f"{program} is missing: apt-get install containerd")
    yield ()


@contextmanager
def _propagating(place: Path) -> Iterator[None]:
    """Have mounts below a directory arrive in the mount namespaces that are made in the block."""
    for words in (("--bind", place, place), ("--make-shared", place)):
        subprocess.run(["mount", *words], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True, timeout=30)


def image(name: str, command: Sequence[str]) -> bytes:
    """An image as an archive that `ctr images import` takes: busybox with all its names."""
    layer = dockerd.image()
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    configured = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": configured, "RepoTags": [name], "Layers": ["layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in (
            (configured, config),
            ("layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _prepare(daemon: Containerd) -> None:
    """The daemon's configuration, and the shim's launcher with this session's settings."""
    disabled = "" if daemon.cri else '"io.containerd.grpc.v1.cri"'
    config = _CONFIG.format(place=daemon.place, data=daemon.data, disabled=disabled)
    launcher = daemon.place / "bin/containerd-shim-enclos-v2"
    if daemon.major > 1:
        config += _BLOCKFILE.format(data=daemon.data)
        scratch = daemon.data / "scratch"
        scratch.touch()
        os.truncate(scratch, _SCRATCH_BYTES)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", scratch], check=True, timeout=60)
    if daemon.cri:
        config += _CRI.format(place=daemon.place, pause=PAUSE)
        config = containerdconfig.register(config, os.fspath(launcher))
        if daemon.major > 1:
            config += _SANDBOXES.format(handler=SANDBOXES, launcher=launcher)
        (daemon.place / "cni").mkdir()
        network = _NETWORK.replace("PLACE", os.fspath(daemon.place))
        (daemon.place / "cni/10-pods.conflist").write_text(network)
    (daemon.place / "config.toml").write_text(config)
    ours = daemon.programs.environment
    launcher.parent.mkdir()
    launchers.write(launcher, "shim", {name: ours[name] for name in ours if "ENCLOS" in name})


def _end(daemon: Containerd) -> None:
    """End the daemon; no shim may stay."""
    daemon.stop()
    limit = time.monotonic() + _END_S
    while left := daemons.naming(f"{daemon.place}/"):
        if time.monotonic() > limit:
            pidfd.kill_all(left)
            raise AssertionError(f"shims are left: {left}\n{daemon.log()}")
        time.sleep(_POLL_S)


def _remove_containers(daemon: Containerd) -> None:
    if daemon.process is None:
        daemon.start()
    for name in daemon("containers", "ls", "-q").out.split():
        daemon.remove(name)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, 1 << 24, 0)


def _events(lines: bytes, name: str) -> list[Event]:
    """`TIME NAMESPACE TOPIC JSON` per line."""
    found: list[Event] = []
    for line in lines.decode().splitlines():
        _, separator, rest = line.partition(" /tasks/")
        topic, _, fields = rest.partition(" ")
        if separator:
            found.append(Event(f"/tasks/{topic}", json.loads(fields)))
    return [event for event in found if event.fields.get("container_id") == name]


def _remove_cgroups(name: str) -> None:
    """The parent of the containers' groups, which must be empty, in every hierarchy."""
    found = layout.detect()
    mounts = [hierarchy.mount for hierarchy in found.legacy]
    for mount in [*mounts, *([found.unified] if found.unified else [])]:
        if (mount / name).is_dir():
            (mount / name).rmdir()
