"""Signals by number and name, as Linux numbers them; `signal` itself costs a fast verb too much."""

from __future__ import annotations

from enclos.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAMES: Final = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()
_ALIASES: Final = {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31}
RTMIN: Final = 34
"""The first real-time signal that C libraries leave to programs."""
RTMAX: Final = 64


def parse(text: str) -> int:
    """The number of `15`, `TERM`, `sigterm`, `RTMIN+3`, `RTMAX-1`; raises `InvalidRequest`.

    0 is a signal, too: it only asks.
    """
    word = text.strip().upper().removeprefix("SIG")
    number = _number(word)
    if number is None or not 0 <= number <= RTMAX:
        raise InvalidRequest(
            f"unknown signal {text[:40]!r}", hint="use a number or a name such as TERM or SIGKILL"
        )
    return number


def name(number: int) -> str:
    """`TERM` for 15; the number itself for a real-time signal."""
    return _NAMES[number - 1] if 0 < number <= len(_NAMES) else str(number)


def _number(word: str) -> int | None:
    if word.isascii() and word.isdecimal():
        return int(word) if len(word) < 4 else None
    if word in _NAMES:
        return _NAMES.index(word) + 1
    for base, value in (("RTMIN", RTMIN), ("RTMAX", RTMAX)):
        rest = word.removeprefix(base)
        if rest == word:
            continue
        sign, digits = rest[:1], rest[1:]
        if not rest:
            return value
        if sign in "+-" and digits.isascii() and digits.isdecimal() and len(digits) < 3:
            wanted = value + int(digits) * (1 if sign == "+" else -1)
            return wanted if RTMIN <= wanted <= RTMAX else None
    return _ALIASES.get(word)
