"""What a container asks of its machine by annotations `io.enclos.*`. PURE.

Whoever may write a container's annotations need not be whoever runs the host, so each one has to
be allowed by its name in the settings; without that it is refused, as is one that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from enclos.config import parse
from enclos.config.settings import Settings
from enclos.errors import InvalidRequest
from enclos.structs import dataclass

PREFIX: Final = "io.enclos."
NAMES: Final[Mapping[str, str]] = {
    "memory": "the least memory of the machine, whatever the limits say: 512M, 2GiB",
    "vcpus": "the least number of its virtual CPUs",
    "kernel_arguments": "added to its kernel's command line",
    "template": "false boots it, true restores it from a template",
}
"""What there is, and what its value says."""
_SETTINGS: Final = {
    "memory": "default_memory_bytes",
    "vcpus": "default_vcpus",
    "kernel_arguments": "kernel_arguments",
    "template": "template",
}
"""The setting whose values are written alike."""
_ALL: Final = "*"
_MOST_CHARACTERS: Final = 1024


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for; 0, empty and None for nothing."""

    memory: int = 0
    vcpus: int = 0
    kernel_arguments: str = ""
    template: bool | None = None
    notes: tuple[str, ...] = ()


NOTHING: Final = Wishes()


def read(annotations: Mapping[str, str], settings: Settings, *, own: bool) -> Wishes:
    """What `annotations` ask for; raises `InvalidRequest` for what is not allowed or no value.

    Where the machine is not the container's `own` they come too late, which is noted.
    """
    allowed = settings.allowed_annotations.replace(",", " ").split()
    values: dict[str, Any] = {}
    for key, text in annotations.items():
        if key.startswith(PREFIX):
            name = key.removeprefix(PREFIX)
            _check(name, text, allowed)
            values[name] = _value(name, text)
    if own:
        return Wishes(**values)
    return Wishes(notes=tuple(f"{PREFIX}{name}: the machine is there already" for name in values))


def _check(name: str, text: str, allowed: list[str]) -> None:
    if name not in NAMES:
        raise InvalidRequest(
            f"there is no annotation {PREFIX}{name[:80]}",
            hint=f"there are {', '.join(PREFIX + known for known in NAMES)}",
        )
    if name not in allowed and _ALL not in allowed:
        raise InvalidRequest(
            f"the annotation {PREFIX}{name} is not allowed on this host",
            hint=f'allow it in enclos-config(5): allowed_annotations = "{name}"',
        )
    if len(text) > _MOST_CHARACTERS or not text.isprintable():
        raise InvalidRequest(
            f"annotation {PREFIX}{name}: not one line of at most {_MOST_CHARACTERS} characters",
            hint=f"it says {NAMES[name]}",
        )


def _value(name: str, text: str) -> Any:
    setting = _SETTINGS[name]
    return getattr(parse.settings({setting: text}, f"annotation {PREFIX}{name}"), setting)
