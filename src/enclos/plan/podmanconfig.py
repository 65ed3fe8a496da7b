"""What podman's configuration has to say so that `--runtime enclos` works. PURE.

A list in a drop-in replaces the list of every file before it (containers.conf(5); adding to one
is newer than podman 4.3). So the drop-in repeats what is in force: without a runtime's name in
`runtime_supports_json` podman loses the words of its errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

MARK: Final = "# Written by `enclos setup podman`; `enclos setup podman --undo` removes it.\n"
"""The first line of the drop-in: by it we know our own file again."""
NAMES: Final = ("enclos", "enclos-oci")
"""Names for `--runtime`; both mean the program `enclos-oci`."""
_DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "runtime_supports_json": (
        "crun", "crun-vm", "crun-wasm", "kata", "krun", "ocijail", "runc", "runsc", "youki",
    ),
    "runtime_supports_kvm": ("kata", "krun"),
    "runtime_supports_nocgroups": ("crun", "crun-wasm", "krun"),
}  # fmt: skip
"""What podman 4.3 to 5.x have by default, taken together: a name too many does no harm."""
_ABOUT: Final = """\
# podman --runtime enclos: each container, or each pod, in a virtual machine of its own.
# A list here replaces the one of podman's other files, so it names the other runtimes as well.
"""


def drop_in(program: str, documents: Sequence[Mapping[str, Any]]) -> str:
    """The drop-in's text; `documents` are the files podman reads before it, in that order."""
    lines = [MARK, _ABOUT, "\n[engine]\n"]
    for key, defaults in _DEFAULTS.items():
        lines.append(
            f"{key} = {_written(sorted({*_in_force(key, documents, defaults), *NAMES}))}\n"
        )
    lines.append("\n[engine.runtimes]\n")
    lines += [f"{name} = {_written([program])}\n" for name in NAMES]
    return "".join(lines)


def is_ours(text: str) -> bool:
    """Whether a file was written by us."""
    return text.startswith(MARK)


def _in_force(
    key: str, documents: Sequence[Mapping[str, Any]], defaults: tuple[str, ...]
) -> tuple[str, ...]:
    found = defaults
    for document in documents:
        engine: object = document.get("engine")
        listed = cast("dict[str, object]", engine).get(key) if isinstance(engine, dict) else None
        if isinstance(listed, list):
            names = cast("list[object]", listed)
            found = tuple(name for name in names if isinstance(name, str))
    return found


def _written(names: Sequence[str]) -> str:
    """A TOML array of basic strings."""
    return f"[{', '.join(_quoted(name) for name in names)}]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
