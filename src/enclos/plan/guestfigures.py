"""Reads the figures of a container: files of its cgroup v2 in the guest, by name. PURE.

The files come from the guest: nothing in them is believed to be well-formed, and no number is
larger than the kernel's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from enclos.structs import dataclass

Files = Mapping[str, str]

MOST: Final = 2**64 - 1
"""How the kernel's `max` is written where a number is wanted."""
_INTERFACE_FIELDS: Final = 16
_MOST_ROWS: Final = 1_000
_MOST_CPUS: Final = 4_095


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of the guest's container; counts since it came to be."""

    name: str
    received_bytes: int
    received_packets: int
    received_errors: int
    received_dropped: int
    sent_bytes: int
    sent_packets: int
    sent_errors: int
    sent_dropped: int


def number(files: Files, name: str, *, unlimited: int = 0) -> int:
    """A file with one number in it; 0 if it is not there, `unlimited` if it says `max`."""
    text = files.get(name, "").strip()
    return unlimited if text == "max" else plain(text)


def table(files: Files, name: str) -> dict[str, int]:
    """A file with `key number` on each line."""
    pairs = (line.split() for line in files.get(name, "").splitlines()[:_MOST_ROWS])
    return {pair[0]: plain(pair[1]) for pair in pairs if len(pair) == 2}


def plain(text: str) -> int:
    """The number that `text` is; 0 if it is none or too large."""
    fits = text.isascii() and text.isdecimal() and len(text) <= 20
    return min(int(text), MOST) if fits else 0


def devices(files: Files) -> Iterator[tuple[int, int, dict[str, int]]]:
    """`io.stat`: major and minor number of each block device, and its counts by name."""
    for line in files.get("io.stat", "").splitlines()[:_MOST_ROWS]:
        name, _, rest = line.partition(" ")
        major, colon, minor = name.partition(":")
        if colon:
            pairs = (word.partition("=") for word in rest.split())
            yield plain(major), plain(minor), {key: plain(value) for key, _, value in pairs}


def cpus(files: Files) -> list[int]:
    """The guest's CPUs that the container may use; empty where they are not well told."""
    found: set[int] = set()
    for part in files.get("cpuset.cpus.effective", "").strip().split(",")[:_MOST_ROWS]:
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            return []
        found.update(range(plain(first), min(plain(last or first), _MOST_CPUS) + 1))
    return sorted(found)


def interfaces(files: Files) -> Iterator[Interface]:
    """`net/dev`, the loopback apart."""
    for line in files.get("net/dev", "").splitlines()[:_MOST_ROWS]:
        name, colon, rest = line.partition(":")
        fields = [plain(field) for field in rest.split()] + [0] * _INTERFACE_FIELDS
        if colon and name.strip() != "lo":
            yield Interface(name.strip(), *fields[0:4], *fields[8:12])


def pressure(files: Files, name: str) -> dict[str, dict[str, float]]:
    """A `*.pressure` file: averages in per cent and the total in microseconds, by severity."""
    found: dict[str, dict[str, float]] = {}
    for line in files.get(name, "").splitlines()[:2]:
        kind, _, rest = line.partition(" ")
        pairs = (word.partition("=") for word in rest.split())
        if kind in {"some", "full"}:
            found[kind] = {key: _decimal(value) for key, _, value in pairs if key in _PRESSURE}
    return found


_PRESSURE: Final = frozenset({"avg10", "avg60", "avg300", "total"})


def _decimal(text: str) -> float:
    whole, point, part = text.partition(".")
    if not point:
        return plain(whole)
    return plain(whole) + (plain(part) / 10 ** len(part) if 0 < len(part) <= 6 else 0)
