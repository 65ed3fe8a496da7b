"""Containers in namespaces that a test has filled: ours of one warm sandbox, and runc's beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.conformance.answers import Answer
from tests.conformance.conftest import Side
from tests.conformance.rows import UNCHANGED, Change, Spec, adding, together
from tests.support.bridges import Member
from tests.support.netns import Netns

ADMIN: Final = ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_KILL", "CAP_SETUID", "CAP_SETGID")
PYTHON: Final = "/usr/bin/python3 -ISc"
GROUPS: Final = ("239.77.0.7", "ff15::7707")
MULTICAST: Final = """
import socket, sys, time
role, group, name = sys.argv[1:]
kind = socket.AF_INET6 if ":" in group else socket.AF_INET
def joined(port):
    made = socket.socket(kind, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", port))
    index = socket.if_nametoindex("eth0").to_bytes(4, sys.byteorder)
    member = socket.inet_pton(kind, group) + index
    if kind == socket.AF_INET:
        member = member[:4] + bytes(4) + index
        made.setsockopt(0, socket.IP_ADD_MEMBERSHIP, member)
        made.setsockopt(0, socket.IP_MULTICAST_IF, member)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    return made
if role == "answer":
    questions = joined(5007)
    print("ready", flush=True)
    while True:
        asked = questions.recv(99).decode()
        questions.sendto(f"{name} heard {asked}".encode(), (group, 5008))
answers, heard, limit = joined(5008), set(), time.monotonic() + 60
answers.settimeout(1)
while len(heard) < 2 and time.monotonic() < limit:
    answers.sendto(name.encode(), (group, 5007))
    try:
        while len(heard) < 2:
            said = answers.recv(99).decode()
            heard |= {said} if said.endswith(f"heard {name}") else set()
    except TimeoutError:
        pass
print(*sorted(heard), sep=", ")
"""


@dataclass(frozen=True)
class Running:
    """A container that runs, by the side that made it."""

    side: Side
    name: str
    member: Member

    def exec(self, script: str) -> Answer:
        """Run a shell script in it."""
        scratch = self.side.directory / self.name
        return self.side.runtime.call("exec", self.name, "sh", "-c", script, scratch=scratch)

    def ok(self, script: str) -> str:
        """The same, which must succeed."""
        answer = self.exec(script)
        assert answer.code == 0, (self.side.runtime.name, script, answer)
        return answer.out


def within(member: Member | Netns) -> Change:
    """In a member's namespace, with the right to change it, and the host's programs."""
    path = (member.netns if isinstance(member, Member) else member).path

    def change(spec: Spec) -> None:
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = path
        for kind in ("bounding", "effective", "permitted"):
            spec["process"]["capabilities"][kind] = list(ADMIN)

    programs = [
        {"destination": name, "type": "bind", "source": name, "options": ["rbind", "ro"]}
        for name in ("/usr", "/lib", "/lib64")
    ]
    return together(change, adding("mounts", *programs))


@contextmanager
def running(side: Side, member: Member, script: str = "exec sleep 10000") -> Iterator[Running]:
    """A container in a member's namespace, in the background."""
    name = side.name()
    bundle = side.bundle(name, script, within(member))
    for words in (("create", "--bundle", str(bundle), name), ("start", name)):
        answer = side.runtime.call(*words, scratch=bundle)
        assert answer.code == 0, answer.err
    try:
        yield Running(side, name, member)
    finally:
        side.forget(name)


def same(
    sides: dict[str, Side], member: Member | Netns, script: str, change: Change = UNCHANGED
) -> str:
    """What a script prints in the namespace, which is the same on both sides."""
    found = {
        name: side.run(script, together(within(member), change)) for name, side in sides.items()
    }
    ours, theirs = found["enclos"], found["runc"]
    assert (ours.code, comparable(ours.out)) == (theirs.code, comparable(theirs.out)), found
    return theirs.out


def comparable(listing: str) -> list[str]:
    """A listing without numbers, peers, carriers and queues, nor what is ours on the host."""
    plain = re.sub(
        r"(?m)^\d+: |@\w+|NO-CARRIER,|,(?:M-DOWN|LOWER_UP)| link-netnsid \d+| (qdisc|qlen) .*",
        "",
        listing,
    )
    return sorted(line.strip() for line in plain.splitlines() if "enclos" not in line)


def multicast(pair: dict[str, Running], outside: Member, group: str) -> None:
    """Each of the pair hears a group and is heard by it: the other, itself, and who is outside."""
    for name, one in pair.items():
        words = f"/usr/bin/python3 -ISc '{MULTICAST}' answer {group} {name}"
        one.ok(f"rm -f /tmp/ready; ({words} >/tmp/ready 2>&1 & echo $! >/tmp/pid); "
               "for i in $(seq 300); do grep -q . /tmp/ready && break; sleep 0.1; done; "
               "grep -q ready /tmp/ready || { cat /tmp/ready >&2; exit 1; }")  # fmt: skip
    try:
        for name, one in pair.items():
            said = one.ok(f"{PYTHON} '{MULTICAST}' ask {group} {name}")
            assert said == f"enclos heard {name}, runc heard {name}\n"
        said = outside.netns.run(*PYTHON.split(), MULTICAST, "ask", group, "outside")
        assert said == "enclos heard outside, runc heard outside\n"
    finally:
        for one in pair.values():
            one.exec("kill $(cat /tmp/pid)")
