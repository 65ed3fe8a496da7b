"""Cuts the guest's Python down to what the agent imports, as byte code, and adds the agent.

What the standard library brings in is found by importing it with the guest's own
interpreter from the unpacked packages, never by guessing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from enclos.assets import libraries
from enclos.assets.closure import Closure
from enclos.linux import process
from enclos.structs import dataclass

PROGRAM: Final = "usr/bin/python3.13"
LIBRARY: Final = "usr/lib/python3.13"
AGENT_DIRECTORY: Final = "usr/lib/enclos"
_ALWAYS: Final = ("os", "encodings.utf_8", "encodings.ascii", "encodings.latin_1", "traceback")
"""What the interpreter itself looks for, whatever the agent imports. The file of `os` is also
the landmark by which Python finds its library; `traceback` prints an agent's crash."""
_NO_DOCSTRINGS: Final = 2
_WITH_DOCSTRINGS: Final = 0
"""For the agent: a dataclass without one computes a signature at import, which is slow."""
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Code:
    """Files for the initrd by their name there, and the extension modules' paths in the root."""

    files: dict[str, bytes]
    extensions: tuple[Path, ...]


def collect(root: Path, closure: Closure, package_root: Path) -> Code:
    """Compile the agent and what it imports with the Python in `root`."""
    sources: list[tuple[Path, str, int]] = []
    extensions: list[Path] = []
    for path in _loaded(root, {*closure.imports, *_ALWAYS}):
        if path.suffix == ".py":
            recorded = path.relative_to(root / LIBRARY).as_posix()
            sources.append((path, f"{LIBRARY}/{recorded}", _NO_DOCSTRINGS))
        else:
            extensions.append(path)
    for file in closure.files:
        sources.append((package_root / file, f"{AGENT_DIRECTORY}/{file}", _WITH_DOCSTRINGS))
    return Code(_compile(root, sources), tuple(extensions))


def _loaded(root: Path, names: Iterable[str]) -> list[Path]:
    """Files of all modules that importing `names` loads, and `os`, which is frozen."""
    argv = [*_interpreter(root), str(_HERE / "guestlist.py"), *sorted(names)]
    listed = process.run(argv).stdout.decode()
    paths = {Path(line.partition("\t")[2]) for line in listed.splitlines()}
    return sorted(paths | {root / LIBRARY / "os.py"})


def _compile(root: Path, sources: list[tuple[Path, str, int]]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="enclos-code-") as scratch:
        lines = [
            f"{source}\t/{recorded}\t{scratch}/{number}\t{level}"
            for number, (source, recorded, level) in enumerate(sources)
        ]
        argv = [*_interpreter(root), str(_HERE / "guestcompile.py")]
        process.run(argv, input_bytes="\n".join(lines).encode())
        for number, (_source, recorded, _level) in enumerate(sources):
            files[recorded + "c"] = (Path(scratch) / str(number)).read_bytes()
    return files


def _interpreter(root: Path) -> list[str]:
    return [*libraries.linker_command(root), str(root / PROGRAM), "-I", "-S", "-B"]
