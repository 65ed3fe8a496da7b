"""Containers made by speaking to a guest's agent, without the product's host side."""

from __future__ import annotations

import json
from typing import Any

from enclos.ids import new_id
from enclos.wire.messages import CreateContainer, ExecProcess, Exited, Stdio, Target
from enclos.wire.places import SHARE_PATH
from tests.support.agentdriver import Peer


def process(args: list[str], **more: Any) -> dict[str, Any]:
    """A process of a specification."""
    return {"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, **more}


def spec(
    container_id: str, first: dict[str, Any], root: str = "root", volume: str = "", **linux: Any
) -> str:
    """A specification as the host sends it; `volume` of the share is at /volume."""
    source = f"{SHARE_PATH}/{volume}"
    bound = {"destination": "/volume", "type": "bind", "source": source, "options": ["rbind"]}
    device = {"type": "bind", "source": "/run/enclos/boot_id", "options": ["bind", "ro"]}
    return json.dumps(
        {
            "ociVersion": "1.0.2",
            "process": first,
            "root": {"path": f"{SHARE_PATH}/{root}"},
            "hostname": "container",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/proc/sys/kernel/random/boot_id", **device},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
                *([bound] if volume else []),
            ],
            "linux": {
                "cgroupsPath": f"/enclos/{container_id}",
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")],
                "readonlyPaths": ["/proc/sys"],
                **linux,
            },
        }
    )  # fmt: skip


class Running:
    """A container and the streams of its init."""

    def __init__(self, peer: Peer, first: dict[str, Any], stdin: int = 0, **linux: Any) -> None:
        self.peer, self.id = peer, new_id()[:12]
        self.out, self.err = peer.reader(), peer.reader()
        stdio = Stdio(stdin, self.out.number, self.err.number)
        peer.call("create", CreateContainer(self.id, spec(self.id, first, **linux), stdio))
        peer.call("start", Target(self.id))

    def wait(self) -> int:
        """Its status, once it has ended."""
        return self.peer.event(Exited, id=self.id, exec_id="").status

    def delete(self) -> None:
        """Have the agent forget it."""
        self.peer.call("delete", Target(self.id))

    def execute(self, name: str, one: dict[str, Any], stdio: Stdio | None = None) -> int:
        """The pid."""
        message = ExecProcess(self.id, name, json.dumps(one), stdio or Stdio())
        pid: int = self.peer.call("exec", message).pid
        return pid

    def output(self, name: str, *args: str) -> tuple[int, bytes]:
        """Status and output of an exec."""
        out = self.peer.reader()
        self.execute(name, process(list(args)), Stdio(0, out.number, out.number))
        status = self.peer.event(Exited, id=self.id, exec_id=name).status
        assert out.ended
        return status, bytes(out.data)


def run(peer: Peer, *args: str, more: dict[str, Any] | None = None, **linux: Any) -> Running:
    """A container that has ended; its output is complete."""
    made = Running(peer, process(list(args), **(more or {})), **linux)
    made.wait()
    assert made.out.ended
    assert made.err.ended
    made.delete()
    return made
