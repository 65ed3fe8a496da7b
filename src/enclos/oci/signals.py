"""Signals by name and number, as people and engines write them.

The numbers are Linux' on x86 and ARM, the same on the host and in the guest. Imports nothing
that costs time: `kill` must answer at once.
"""

from __future__ import annotations

from enclos.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAMES: Final = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()
NUMBERS: Final = {name: number for number, name in enumerate(_NAMES, 1)}
"""Standard signals, without the SIG."""
_ALIASES: Final = {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31}
RTMIN: Final = 34
RTMAX: Final = 64
DEFAULT: Final = 15


def parse(text: str) -> int:
    """The number of `15`, `term`, `SIGTERM`, `RTMIN+3`, `sigrtmax-1`; 0 asks for life only.

    Raises `InvalidRequest`.
    """
    if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= RTMAX:
        return int(text)
    name = text.upper().removeprefix("SIG")
    number = NUMBERS.get(name) or _ALIASES.get(name) or _real_time(name)
    if not number:
        raise InvalidRequest(
            f"unknown signal {text[:80]!r}", hint=f"use a name such as KILL, or 0 to {RTMAX}"
        )
    return number


def name_of(number: int) -> str:
    """The name with SIG; a real-time signal as SIGRTMIN+n."""
    if 1 <= number <= len(_NAMES):
        return f"SIG{_NAMES[number - 1]}"
    return f"SIGRTMIN+{number - RTMIN}" if number > RTMIN else "SIGRTMIN"


def _real_time(name: str) -> int:
    """The number of RTMIN+n or RTMAX-n; 0 if it is none."""
    for base, sign in (("RTMIN", "+"), ("RTMAX", "-")):
        rest = name.removeprefix(base)
        if rest == name:
            continue
        offset = rest.removeprefix(sign) if rest else "0"
        plain = offset.isascii() and offset.isdecimal() and len(offset) < 3
        if not plain or (rest and offset == rest) or int(offset) > RTMAX - RTMIN:
            return 0
        return RTMIN + int(offset) if sign == "+" else RTMAX - int(offset)
    return 0
