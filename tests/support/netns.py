"""Network namespaces of a test: without a name, gone with the last descriptor.

Nothing of the host's own network is touched: whatever a test needs it makes in one of these.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from enclos.linux import libc


@dataclass(frozen=True, slots=True)
class Netns:
    """A network namespace that is kept by a descriptor of the test process."""

    descriptor: int

    @property
    def path(self) -> str:
        """Where others find it, as long as the test process holds it."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def run(self, *words: str, timeout_s: float = 60, check: bool = True) -> str:
        """What a command in it writes to stdout."""
        done = subprocess.run(
            ["nsenter", f"--net={self.path}", *words],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def script(self, lines: str) -> None:
        """Run every line of words as a command of its own."""
        for line in lines.strip().splitlines():
            self.run(*line.split())

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it: sockets made meanwhile belong to it."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.setns(self.descriptor, libc.CLONE_NEWNET)
            try:
                yield
            finally:
                libc.setns(own, libc.CLONE_NEWNET)
        finally:
            os.close(own)


@contextmanager
def new() -> Iterator[Netns]:
    """A fresh one, its loopback up."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.unshare(libc.CLONE_NEWNET)
        try:
            made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            libc.setns(own, libc.CLONE_NEWNET)
    finally:
        os.close(own)
    try:
        netns = Netns(made)
        netns.run("ip", "link", "set", "lo", "up")
        yield netns
    finally:
        os.close(made)


def cable(left: Netns, left_name: str, right: Netns, right_name: str) -> None:
    """A veth pair from one to the other, both ends up."""
    left.run("ip", "link", "add", left_name, "type", "veth", "peer", "name", right_name,
             "netns", right.path)  # fmt: skip
    left.run("ip", "link", "set", left_name, "up")
    right.run("ip", "link", "set", right_name, "up")
