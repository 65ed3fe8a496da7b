"""podman as a user runs it, with storage, state and configuration of its own.

Nothing of it is the host's: containers, images, events and cgroups' names live below one
directory, and `close` leaves none of it. Our programs are reached through launchers, because
podman hands most of its environment on to nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support import commands, imagelayouts, launchers, waiting
from tests.support.bundles import busybox
from tests.support.commands import TIMEOUT_S, Answer
from tests.support.screen import Screen, shown

wait_until: Final = waiting.until
IMAGE: Final = "localhost/box:latest"
APPLETS: Final = (
    "sh cat echo sleep id ls true false uname head dd env kill ps stty tty hostname mount touch "
    "seq wc grep stat df awk sed sha256sum cut mkdir rm ln sort tail test printf nc readlink "
    "date sync"
).split()
_LIMITS: Final = '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]\n'
"""podman asks for limits of its own, which are more than every host may give."""


@dataclass(frozen=True)
class Podman:
    """podman with a directory of its own; `runtime` is what `--runtime` gets."""

    directory: Path
    runtime: str = "enclos"
    program: tuple[str, ...] = ("podman",)

    @property
    def environment(self) -> dict[str, str]:
        """A user's, with our configuration instead of the host's."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CONTAINERS_CONF": os.fspath(self.directory / "containers.conf"),
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
            "TMPDIR": os.fspath(self.directory),
        }

    @property
    def state_root(self) -> Path:
        """Where our runtime keeps its records."""
        return self.directory / "state"

    def command(self, *words: str | Path) -> list[str]:
        """`podman WORDS…` as an argument list."""
        own = ("root", "runroot", "tmpdir")
        places = [f"--{name}={self.directory / name}" for name in own]
        ways = ["--cgroup-manager=cgroupfs", "--events-backend=file", "--storage-driver=overlay"]
        return [*self.program, *places, *ways, f"--runtime={self.runtime}", *map(str, words)]

    def run(self, *words: str | Path, stdin: bytes | None = None) -> Answer:
        """Run `podman WORDS…` to its end."""
        command = self.command(*words)
        return commands.run(command, environment=self.environment, stdin=stdin, cwd=self.directory)

    def ok(self, *words: str | Path, stdin: bytes | None = None) -> str:
        """Run `podman WORDS…`, which must succeed; what it printed, without the last newline."""
        answer = self.run(*words, stdin=stdin)
        assert answer.code == 0, f"podman {words} ended with {answer.code}: {answer.err}"
        return answer.out.rstrip("\n")

    def box(self, *words: str | Path, stdin: bytes | None = None) -> Answer:
        """`podman run --rm --network none FLAGS… IMAGE COMMAND…`; the image is in `words`."""
        return self.run("run", "--rm", "--network=none", *words, stdin=stdin)

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """`podman WORDS…` in the background, with pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(*words), stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment,
            cwd=self.directory,
        )  # fmt: skip

    @contextmanager
    def on_a_screen(self, *words: str | Path) -> Iterator[Screen]:
        """`podman WORDS…` on a terminal."""
        command = self.command(*words)
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program is not None
        with shown([program, *command[1:]], self.environment) as screen:
            yield screen

    def inspected(self, name: str) -> dict[str, Any]:
        """What `podman inspect` says of a container."""
        found: list[dict[str, Any]] = json.loads(self.ok("container", "inspect", name))
        return found[0]

    @contextmanager
    def running(self, *flags: str | Path, script: str = "exec sleep 10000") -> Iterator[str]:
        """A container in the background, by its id; removed in the end."""
        made = self.ok("run", "-d", "--network=none", *flags, IMAGE, "sh", "-c", script)
        try:
            yield made
        finally:
            self.run("rm", "--force", "--time=0", made)


def make(
    directory: Path, settings: Mapping[str, str], *, program: Sequence[str] = ("podman",)
) -> Podman:
    """Launchers of our programs with `settings`, and podman's configuration as we set it up."""
    made = Podman(directory, program=tuple(program))
    for name, room in (("enclos", "cli"), ("enclos-oci", "ocicli")):
        launchers.write(directory / name, room, settings)
    config = directory / "containers.conf"
    words = [str(directory / "enclos"), "setup", "podman", "--config-file", str(config)]
    subprocess.run(words, check=True, capture_output=True, timeout=TIMEOUT_S)
    config.write_text(config.read_text() + _LIMITS)
    return made


def load_image(podman: Podman) -> None:
    """Load the image IMAGE: a static busybox and a little around it."""
    layout = podman.directory / "layout"
    write_box(layout)
    podman.ok("pull", "--quiet", f"oci:{layout}:box")
    found = podman.ok("images", "--quiet", "--no-trunc").splitlines()[0]
    podman.ok("tag", found, IMAGE)


def write_box(layout: Path, *more: Any, tag: str = "box") -> Path:
    """An OCI layout with the image; `more` are members for its second layer."""
    links = [imagelayouts.symlink(f"bin/{name}", "busybox") for name in APPLETS]
    directories = "bin etc tmp proc sys dev run var var/data home".split()
    base = imagelayouts.archive(
        *map(imagelayouts.directory, directories),
        (imagelayouts.member("bin/busybox", mode=0o755), busybox().read_bytes()),
        *links,
        ("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nuser:x:1234:4321::/home:/bin/sh\n"),
        ("etc/group", b"root:x:0:\nmore:x:77:user\n"),
        ("var/data/first", b"from the image\n"),
        ("etc/plain", b"no program\n"),
    )
    layers = [base, imagelayouts.archive(*more)] if more else [base]
    config = {"Env": ["PATH=/bin"], "Cmd": ["sh"], "WorkingDir": "/"}
    return imagelayouts.write(layout, layers, tag=tag, config=config)
