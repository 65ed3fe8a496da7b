"""A host of a test: a namespace on a bridge, with our programs in it as on a host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.support import bridges, bundles
from tests.support.bridges import Bridge, Member
from tests.support.cli import Programs
from tests.support.commands import Answer

DEMO: Final = "enclos/demo"
LOOKS: Final = ("ip -d address", "ip route show table all", "ip rule", "nft -s list ruleset",
                "ss -Hltun", "sysctl -a --pattern ^net")  # fmt: skip
_COUNT: Final = "nf_conntrack_count"
_TIMERS: Final = re.compile(r"\w+_timer +[0-9.]+")


@dataclass(frozen=True)
class Host:
    """A host of the test with programs of ours on it."""

    programs: Programs
    bridge: Bridge
    member: Member
    made: list[str] = field(default_factory=list[str])

    def enclos(self, *words: str) -> Answer:
        """`enclos WORDS…` on that host."""
        inside = ["nsenter", f"--net={self.member.netns.path}"]
        return self.programs.run([*inside, *self.programs.command(*words)])

    def ok(self, *words: str) -> str:
        """The same, which must succeed."""
        answer = self.enclos(*words)
        assert answer.code == 0, (words, answer.err)
        return answer.out

    def keep(self, *flags: str, script: str = "sleep 10000") -> str:
        """Leave a container running; its id."""
        made = self.ok("run", "-d", *flags, DEMO, "sh", "-c", script).strip()
        self.made.append(made)
        return made

    def remove_all(self) -> None:
        """Remove what `keep` has left."""
        while self.made:
            self.enclos("rm", "-f", self.made.pop())

    def sh(self, container: str, script: str) -> str:
        """Run a script in a container."""
        return self.ok("exec", container, "sh", "-c", script)

    def looks(self) -> dict[str, str]:
        """What is configured and who listens; not how much goes on."""
        found = {words: self.member.netns.run(*words.split(), check=False) for words in LOOKS}
        return {words: "".join(_lines(words, text)) for words, text in found.items()}

    def dial(self, address: str, port: int, *, outside: bool = False, tries: int = 20) -> str:
        """What is answered there to a word, in the end, from the host or from outside of it."""
        netns = self.bridge.host if outside else self.member.netns
        script = f"(echo word; sleep 1) | {bundles.busybox()} nc -w 10 {address} {port}"
        for _ in range(tries):
            if answer := netns.run("sh", "-c", script, check=False):
                return answer
        return ""


def _lines(words: str, text: str) -> list[str]:
    """What is comparable of a listing; sockets are in no order."""
    lines = [_TIMERS.sub("", line) for line in text.splitlines(True) if _COUNT not in line]
    return sorted(lines) if words.startswith("ss ") else lines


@contextmanager
def on_a_bridge(programs: Programs) -> Iterator[Host]:
    """One whose containers are removed in the end."""
    with bridges.new() as bridge:
        found = Host(programs, bridge, bridge.member())
        found.member.settle()
        yield found
        found.remove_all()
