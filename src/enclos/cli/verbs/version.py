"""`version`: this program, and the assets in force if there are any."""

from __future__ import annotations

import platform

from enclos.cli import gotemplate, output
from enclos.cli.parse import Parsed
from enclos.config import load
from enclos.errors import EnclosError
from enclos.version import VERSION


def run(asked: Parsed) -> int:
    """Needs neither root nor assets."""
    facts = _facts()
    how = asked.text("format")
    if how == "json":
        output.write(output.json_line(facts) + "\n")
    elif how:
        output.write(gotemplate.parse(how).render(facts) + "\n")
    else:
        output.write("".join(f"{_line(name, value)}\n" for name, value in facts.items()))
    return 0


def _line(name: str, value: str) -> str:
    return f"enclos version {value}" if name == "Version" else f"{name}: {value}"


def _facts() -> dict[str, str]:
    facts = {"Version": VERSION, "Python": platform.python_version()}
    from enclos.assets import store

    try:
        assets = store.load(load.settings().data_root)
    except (EnclosError, OSError):
        return facts | {"Assets": "none"}
    return facts | {
        "Assets": assets.key[:12],
        "GuestKernel": assets.kernel_release,
        "Qemu": assets.qemu_version,
    }
