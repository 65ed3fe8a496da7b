"""A dockerd of a test's own and its containerd: Debian's, with private roots and sockets.

It knows the runtime `enclos` by a launcher, as an installed program would be known: that of runc's
command line, or, with `ENCLOS_TEST_DOCKER_SHIM` set, of containerd's shim (docker 23 and newer).
Nothing of it is left when the context ends: daemons are ended by pid, mounts and control groups
taken away.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from enclos.linux import pidfd
from enclos.linux.cgroup import layout
from tests.support import commands, daemons, launchers, otherroot, sessions, waiting
from tests.support.badguests import BAD
from tests.support.bundles import busybox
from tests.support.cli import Programs
from tests.support.commands import TIMEOUT_S, Answer
from tests.support.screen import Screen, shown

DAEMON: Final = "/usr/sbin/dockerd"
CONTAINERD: Final = "/usr/bin/containerd"
CLIENT: Final = "/usr/bin/docker"
"""Debian's own: another one in PATH may be newer than the daemon."""
SHIM: Final = bool(os.environ.get("ENCLOS_TEST_DOCKER_SHIM"))
PREFIX: Final = "/enclos-docker-"
"""Of the name of a session's daemon's directory, which its command line has."""
IMAGE: Final = "busybox:test"
BARE: Final = "enclos-bare"
"""The name of a runtime whose assets were never built."""
DAMAGED: Final = "enclos-damaged"
"""One with a data root of a test's own, `damaged_root`."""
_BAD: Final = {f"enclos-{bad.name}": bad.settings for bad in BAD}
"""Runtimes whose guests do not come up."""
PACKAGES: Final = (
    "docker.io", "docker-cli", "containerd", "runc", "docker-compose", "python3", "iproute2",
    "procps", "e2fsprogs",
)  # fmt: skip
"""What another release of Debian needs for it."""
_CONTAINERD: Final = """\
version = 2
root = "{data}/containerd"
state = "{place}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/containerd.sock"
"""
NO_NETWORK: Final = (
    "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
    "--ip-masq=false", "--userland-proxy=false",
)  # fmt: skip
_END_S: Final = 60


@dataclass
class Docker:
    """A running daemon and its client. `runtime` is what `run` uses unless told otherwise.

    `enter` begins the command of whatever is docker's: it may live in a root of its own.
    """

    programs: Programs
    place: Path
    data: Path
    name: str
    enter: tuple[str, ...] = ()
    network: tuple[str, ...] = NO_NETWORK
    process: subprocess.Popen[bytes] | None = None
    containerd: subprocess.Popen[bytes] | None = None

    @property
    def runtime_root(self) -> Path:
        """Where the runtime writes dockerd's containers down; not there before the first."""
        if SHIM:
            shims = self.place / "state/shim"
            return next(shims.glob("*-moby"), shims / "none")
        return self.place / "exec/runtime-runc/moby"

    @property
    def damaged_root(self) -> Path:
        """The data root of the runtime DAMAGED: nothing is there but what a test puts there."""
        return self.data.with_name(f"{self.data.name}-damaged")

    def __call__(
        self, *words: str, stdin: bytes | None = None, timeout_s: float = TIMEOUT_S
    ) -> Answer:
        """`docker WORDS…` to its end."""
        command = [*self.enter, CLIENT, *words]
        return commands.run(command, environment=self.environment, stdin=stdin, timeout_s=timeout_s)

    def ok(self, *words: str, stdin: bytes | None = None) -> str:
        """The same, which must succeed; what it printed, without the last line's end."""
        answer = self(*words, stdin=stdin)
        assert answer.code == 0, f"docker {words} ended with {answer.code}: {answer.err}"
        return answer.out.rstrip("\n")

    def run(
        self,
        *words: str,
        runtime: str = "enclos",
        stdin: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """`docker run` without a network and removed afterwards."""
        flags = ("--rm", "--network", "none", "--runtime", runtime)
        return self("run", *flags, *words, stdin=stdin, timeout_s=timeout_s)

    @contextmanager
    def on_a_screen(self, *words: str) -> Iterator[Screen]:
        """`docker WORDS…` on a terminal."""
        command = [*self.enter, CLIENT, *words]
        command[0] = shutil.which(command[0]) or command[0]
        with shown(command, self.environment) as screen:
            yield screen

    def inspect(self, container: str, template: str) -> str:
        """One value of `docker inspect`."""
        return self.ok("inspect", "--format", template, container)

    @property
    def environment(self) -> dict[str, str]:
        """The client's."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DOCKER_HOST": f"unix://{self.place}/docker.sock",
            "DOCKER_CONFIG": os.fspath(self.place / "client"),
            "HOME": os.fspath(self.place),
        }

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        if self.containerd is None:
            self.containerd = self._spawn(CONTAINERD, "--config", str(self.place / "config.toml"))
            waiting.until((self.place / "containerd.sock").exists, self.log)
        self.process = self._spawn(DAEMON, *self._flags())
        waiting.until(lambda: not self("version").code, self.log)

    def reload(self) -> None:
        """Have the daemon read its configuration again."""
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the daemon with a signal and wait for its end; containers may live on."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(_END_S)

    def stop_all(self) -> None:
        """End both daemons, and what they left by accident."""
        self.stop()
        if self.containerd is not None:
            self.containerd.terminate()
            self.containerd.wait(_END_S)
        for process in daemons.naming(f"{self.place}/"):
            pidfd.kill_all([process])

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.place / "daemons.log").open("ab") as log:
            return subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.name}", *self.enter, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.fspath(self.place)},
            )

    def log(self) -> str:
        """The end of what the daemons wrote."""
        return (self.place / "daemons.log").read_text(errors="replace")[-4000:]

    def _flags(self) -> list[str]:
        return [
            "--host", f"unix://{self.place}/docker.sock",
            "--containerd", f"{self.place}/containerd.sock",
            "--pidfile", os.fspath(self.place / "pid"),
            "--exec-root", os.fspath(self.place / "exec"),
            "--data-root", os.fspath(self.data),
            "--config-file", os.fspath(self.place / "daemon.json"),
            "--cgroup-parent", f"/{self.name}",
            *([] if SHIM else ["--add-runtime", f"enclos={self.place}/enclos-oci"]),
            *(f"--add-runtime={name}={self.place}/{name}" for name in (BARE, DAMAGED, *_BAD)),
            "--default-ulimit", "nofile=1024:4096",
            "--live-restore", "--log-level", "warn", *self.network,
        ]  # fmt: skip


@contextmanager
def running(
    programs: Programs, data: Path, *, kind: str = "docker", network: tuple[str, ...] = NO_NETWORK
) -> Iterator[Docker]:
    """A daemon with the image `IMAGE`, gone with all its containers afterwards.

    It is the host's, or that of the release of Debian that `ENCLOS_TEST_DOCKER_SUITE` names.
    Daemons of one test process need a `kind` each; `network` are flags about networks.
    """
    name = f"enclos-{kind}-{os.getpid()}"
    with ExitStack() as stack:
        enter = stack.enter_context(_root(programs))
        home = Path(tempfile.gettempdir()) if enter else Path("/run")
        docker = Docker(programs, home / name, data, name, enter, network=network)
        stack.enter_context(sessions.using(docker.place))
        docker.place.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, docker.place)
        _prepare(docker)
        subprocess.run(["ip", "netns", "add", docker.name], check=True, timeout=30)
        stack.callback(subprocess.run, ["ip", "netns", "del", docker.name], timeout=30)
        stack.callback(_remove_cgroups, docker.name)
        stack.callback(daemons.unmount, docker.place, docker.data)
        stack.callback(docker.stop_all)
        docker.start()
        stack.callback(_remove_containers, docker)
        docker.ok("import", "--change", 'CMD ["sh"]', "-", IMAGE, stdin=image())
        yield docker


@contextmanager
def _root(programs: Programs) -> Iterator[tuple[str, ...]]:
    """The words that enter the root with docker in it; none for the host's own."""
    suite = os.environ.get("ENCLOS_TEST_DOCKER_SUITE", "")
    if suite:
        with otherroot.with_ours(suite, PACKAGES, programs.data_root) as enter:
            yield enter
        return
    for program in (DAEMON, CLIENT, CONTAINERD, "/usr/bin/runc"):
        if not os.access(program, os.X_OK):
            pytest.skip(f"{program} is missing: apt-get install docker.io")
    yield ()


def image(extra: dict[str, bytes] | None = None) -> bytes:
    """A root file system as an archive: busybox with all its names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var", "var/lib"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        _file(archive, "bin/busybox", busybox().read_bytes(), 0o755)
        _file(
            archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"
        )
        _file(archive, "etc/group", b"root:x:0:\nuser:x:1000:\n")
        for name, content in (extra or {}).items():
            _file(archive, name, content, 0o755)
        for name in _applets():
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return buffer.getvalue()


def _applets() -> list[str]:
    done = subprocess.run([busybox(), "--list"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if name != "busybox"]


def _file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _prepare(docker: Docker) -> None:
    """Files of the daemons, and the launcher: engines call with whatever environment they have."""
    (docker.place / "config.toml").write_text(
        _CONTAINERD.format(place=docker.place, data=docker.data)
    )
    shim = docker.place / "containerd-shim-enclos-v2"
    runtimes = {"enclos": {"runtimeType": os.fspath(shim)}}
    (docker.place / "daemon.json").write_text(json.dumps({"runtimes": runtimes} if SHIM else {}))
    (docker.place / "client").mkdir()
    ours = {name: value for name, value in docker.programs.environment.items() if "ENCLOS" in name}
    ours.pop("ENCLOS_STATE_ROOT")  # dockerd says where
    launchers.write(docker.place / "enclos-oci", "ocicli", ours)
    launchers.write(shim, "shim", ours | {"ENCLOS_STATE_ROOT": os.fspath(docker.place / "state")})
    bare = {"ENCLOS_DATA_ROOT": f"{docker.place}/no-data"}
    damaged = {"ENCLOS_DATA_ROOT": os.fspath(docker.damaged_root)}
    for name, settings in {BARE: bare, DAMAGED: damaged, **_BAD}.items():
        launchers.write(docker.place / name, "ocicli", ours | settings)


def _remove_containers(docker: Docker) -> None:
    found = docker("ps", "-aq").out.split()
    if found:
        docker("rm", "-f", "-v", *found)


def _remove_cgroups(name: str) -> None:
    """The parent of the containers' groups, in every hierarchy; they are gone by then."""
    found = layout.detect()
    mounts = [hierarchy.mount for hierarchy in found.legacy]
    for mount in [*mounts, *([found.unified] if found.unified else [])]:
        for place, _, _ in os.walk(Path(mount) / name, topdown=False):
            os.rmdir(place)


def with_libraries(*programs: str) -> dict[str, bytes]:
    """Programs of this host and what they load, for `image`."""
    found = {program: Path(program).resolve() for program in programs}
    for program in programs:
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        for word in done.stdout.split():
            if word.startswith("/"):
                found[word] = Path(word).resolve()
    return {name.lstrip("/"): path.read_bytes() for name, path in found.items()}
