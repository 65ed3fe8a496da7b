"""What a command line consists of: verbs, their flags and operands, as data.

The table (`table`) is made of these; parser, help, manual page and shell completion read it.
"""

from __future__ import annotations

from enum import Enum

from enclos.structs import dataclass


class Subject(Enum):
    """What an operand names, for shell completion."""

    OTHER = "other"
    CONTAINER = "container"
    IMAGE = "image"
    FILE = "file"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. `meta` is the word for its value; without it the flag is a switch.

    `many`: may be given several times. `choices` are checked by the parser and completed.
    """

    name: str
    help: str
    short: str = ""
    meta: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()

    @property
    def spelling(self) -> str:
        """As help shows it."""
        names = f"-{self.short}, --{self.name}" if self.short else f"    --{self.name}"
        return f"{names} {self.meta}" if self.meta else names


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: `name` may be two words, `module` is the file in `cli/verbs` that does it.

    `operands` is how help shows them; there must be `least` and may be `most` of them (`most`
    None: any number). With `stops` everything after the first operand belongs to a command
    line of its own, dashes and all.
    """

    name: str
    module: str
    summary: str
    operands: str = ""
    least: int = 0
    most: int | None = 0
    flags: tuple[Flag, ...] = ()
    stops: bool = False
    subject: Subject = Subject.OTHER
    choices: tuple[str, ...] = ()
    about: str = ""
    examples: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """The line under which help and errors show it."""
        words = ["enclos", self.name, "[OPTIONS]" if self.flags else "", self.operands]
        return " ".join(word for word in words if word)
