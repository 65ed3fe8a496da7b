"""The same for each of several names: one that fails is complained about, the rest is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from enclos.cli import complain, output
from enclos.errors import EnclosError


def each(names: Iterable[str], act: Callable[[str], object], *, quiet: bool = False) -> int:
    """Call `act` for every name, printing the name after it; the status of the first failure."""
    status = 0
    for name in names:
        try:
            act(name)
        except (EnclosError, OSError) as error:
            failed = complain.complain(error)
            status = status or failed
        else:
            if not quiet:
                output.write(f"{name}\n")
    return status
