"""How a command ended, and what of it engines look at: exit code, output, class of complaint.

No two runtimes use the same words, but engines match some (clients read "container does not
exist", not which file could not be opened); so complaints are compared by class.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The class of what is on standard error: empty without any, `other` for no known one.

        Only what goes with a failure of the runtime counts, no warning and no program's words.
        """
        if self.code not in _FAILURES:
            return ""
        return next((name for name, pattern in _CLASSES if pattern.search(self.err)), "other")


_FAILURES: Final = frozenset({1, 64, 255})
_CLASSES: Final = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("no such container", r"container .*does not exist|/status`: no such file"),
        ("id taken", r"already exists"),
        ("bad id", r"invalid (container )?id|container id|too long"),
        ("not stopped", r"not stopped|is not in stopped"),
        ("started before", r"cannot start an already running|is not in created state"),
        ("exec in a stopped one", r"cannot exec .*stopped|the container .* is not running"),
        ("exec in a paused one", r"cannot exec .*paused"),
        ("not paused", r"not paused"),
        ("not running", r"not running|no such process|already finished|cannot start a container "
                        r"that has stopped"),
        ("unknown flag", r"flag provided but not defined|unrecognized option|invalid option"),
        ("flag without value", r"flag needs an argument|requires an argument"),
        ("wrong count of words", r"requires exactly|requires a minimum|requires at (least|most)|"
                                 r"please specify|too (few|many) arg|extra arg"),
        ("unknown verb", r"no help topic for|unknown command"),
        ("not supported", r"^(--|enclos-oci |socket activation).*is not supported|"
                          r"unknown command (checkpoint|restore)"),
        ("unknown signal", r"unknown signal|invalid signal"),
        ("program missing", r"executable file .*not found|exec: .*(no such file or directory|"
                            r"not a directory)"),
        ("program refused", r"permission denied|is a directory"),
        ("no specification", r"config.json.*(not found|no such file)|specification file|"
                             r"no such file.*config.json|open .*config.json|chdir .*no such file|"
                             r"error loading config.json|load .*cannot read the file"),
        ("wrong specification", r"config.json|json|namespace|spec|cwd|args must|sysctl|rlimit|"
                                r"open .*no such file|device|capabilit|seccomp|mount|propagation|"
                                r"invalid|unable|hook|cannot"),
    )
)  # fmt: skip


def shape(text: str) -> Any:
    """JSON without its values: names and types; a list is the shape of its first item."""
    return _shape(json.loads(text))


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


_THEIR_OWN: Final = ("org.opencontainers.runc.", "io.github.seccomp.", "systemd-scope")
"""Annotations by which a runtime says who it is, and what crun says of its control group."""


def lacks(ours: Any, theirs: Any) -> list[str]:
    """Members that their shape has and ours has not, or has of another type, by path."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        theirs = {name: item for name, item in theirs.items() if not name.startswith(_THEIR_OWN)}
        found = [name for name in theirs if name not in ours]
        return found + [
            f"{name}.{rest}"
            for name in theirs
            if name in ours
            for rest in lacks(ours[name], theirs[name])
        ]
    if isinstance(theirs, list) and isinstance(ours, list):
        return [f"[]{rest}" for rest in lacks(ours[0], theirs[0])] if ours and theirs else []
    return [] if type(ours) is type(theirs) and ours == theirs else [f": {ours}, not {theirs}"]
