"""What a command line of `enclos-oci` consists of: verbs, their flags and operands, as data.

Plain classes with slots rather than dataclasses: verbs that must answer at once read their
command line with these, and `dataclasses` alone costs more than they may take.
"""

from __future__ import annotations

PROGRAM = "enclos-oci"


class Flag:
    """One flag. `meta` is the word for its value; without it the flag is a switch.

    `choices` are checked by the parser. `ignored`: taken and without effect, because it means
    nothing here; `refused`: known elsewhere and not here, with the reason.
    """

    __slots__ = ("choices", "help", "ignored", "meta", "name", "refused", "short")

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 - the word of the other table
        *,
        short: str = "",
        meta: str = "",
        choices: tuple[str, ...] = (),
        ignored: bool = False,
        refused: str = "",
    ) -> None:
        self.name = name
        self.help = help
        self.short = short
        self.meta = meta
        self.choices = choices
        self.ignored = ignored
        self.refused = refused

    @property
    def spelling(self) -> str:
        """As help shows it."""
        names = f"-{self.short}, --{self.name}" if self.short else f"    --{self.name}"
        return f"{names} {self.meta}" if self.meta else names


class Verb:
    """One command; `module` has its action and is imported when it is asked for.

    `operands` is how help shows them; there must be `least` and may be `most` of them (`most`
    None: any number). With `stops` everything after the first operand is a command line of its
    own. `refused` is why a verb that engines know is not there, and empty for all others.
    """

    __slots__ = (
        "about",
        "flags",
        "least",
        "module",
        "most",
        "name",
        "operands",
        "refused",
        "stops",
        "summary",
    )

    def __init__(
        self,
        name: str,
        summary: str,
        operands: str = "",
        *,
        least: int = 0,
        most: int | None = 0,
        flags: tuple[Flag, ...] = (),
        stops: bool = False,
        refused: str = "",
        about: str = "",
    ) -> None:
        self.name = name
        self.summary = summary
        self.operands = operands
        self.least = least
        self.most = most
        self.flags = flags
        self.stops = stops
        self.refused = refused
        self.about = about
        self.module = f"enclos.ocicli.{name}"

    @property
    def usage(self) -> str:
        """The line under which help and errors show it."""
        words = [PROGRAM, self.name, "[OPTIONS]" if self.flags else "", self.operands]
        return " ".join(word for word in words if word)
