"""netavark and aardvark-dns: bridges, addresses, firewall rules and names for containers.

Programs of Debian's that podman uses as well (netavark 1.4 or newer). netavark does one thing and
ends; aardvark-dns is a daemon that it starts with the first container and that ends with the last.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Final, cast

from enclos import log
from enclos.errors import EnclosError, HostUnfit, MachineFailed
from enclos.linux import process
from enclos.structs import dataclass

_PLACES: Final = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/libexec/podman")
_TIMEOUT_S: Final = 60.0
_DAEMONS: Final = "aardvark-dns"
_PID_FILE: Final = "aardvark.pid"
_DAEMON_S: Final = 10.0
_POLL_S: Final = 0.005
_FIREWALLS: Final = ("iptables", "nft")
_INSTALL: Final = "run: apt-get install iptables nftables"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where both are."""

    netavark: str
    aardvark: str


def find() -> Programs:
    """Both; raises `HostUnfit`, which names the package, for one that is missing.

    netavark of Debian 12 calls iptables, that of 13 nft: with neither nothing will come of it.
    """
    found = Programs(_find("netavark"), _find("aardvark-dns"))
    if len(_missing()) == len(_FIREWALLS):
        raise HostUnfit("neither iptables nor nft is installed", hint=_INSTALL)
    return found


def _missing() -> list[str]:
    """The programs for firewalls that are not there."""
    return [name for name in _FIREWALLS if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        process.find(name)
    except HostUnfit:
        return False
    return True


def _find(name: str) -> str:
    for place in _PLACES:
        if os.access(f"{place}/{name}", os.X_OK):
            return f"{place}/{name}"
    return process.find(name)


@dataclass(frozen=True, slots=True)
class _Daemon:
    """The aardvark-dns of a directory, by the files that it and netavark have there.

    netavark tells it of changes by SIGHUP: one that has not begun to listen for that dies of it,
    and one that is about to end does not hear it (both seen with 1.4). So it is waited for.
    """

    place: Path

    def pid(self) -> int:
        """Its pid; 0 if it does not run."""
        try:
            return int((self.place / _PID_FILE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def has_networks(self) -> bool:
        """Whether it serves anybody."""
        return self.place.is_dir() and any(name != _PID_FILE for name in os.listdir(self.place))

    def wait_listening(self) -> None:
        """Until it hears SIGHUP; raises `MachineFailed` if it ends instead."""
        deadline = time.monotonic() + _DAEMON_S
        while time.monotonic() < deadline:
            status = _status(self.pid())
            if not status:
                break
            if int(status.get("SigCgt", "0"), 16) & 1:  # SIGHUP is signal 1, bit 0
                return
            time.sleep(_POLL_S)
        raise MachineFailed(
            "aardvark-dns does not run", hint="see what has port 53: ss -tulnp; and the syslog"
        )

    def wait_gone(self, pid: int) -> None:
        """Until the process `pid` has ended, reaped or not; says so in the log if it does not."""
        deadline = time.monotonic() + _DAEMON_S
        while time.monotonic() < deadline:
            if _status(pid).get("State", "Z")[0] == "Z":
                return
            time.sleep(_POLL_S)
        log.warning("aardvark-dns does not end", pid=pid)


def _status(pid: int) -> dict[str, str]:
    """What the kernel says of a process; empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8") if pid else ""
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def setup(programs: Programs, directory: Path, namespace: str, options: str) -> None:
    """Connect the namespace at that path. `directory` is aardvark's, which must exist.

    Raises `MachineFailed` with netavark's words.
    """
    _run(programs, directory, ("setup", namespace), options)
    _Daemon(directory / _DAEMONS).wait_listening()


def teardown(programs: Programs, directory: Path, namespace: str, options: str) -> None:
    """Take back all of it, given the same options; raises `MachineFailed`."""
    daemon = _Daemon(directory / _DAEMONS)
    pid = daemon.pid()
    _run(programs, directory, ("teardown", namespace), options)
    if not daemon.has_networks():
        daemon.wait_gone(pid)


def _run(programs: Programs, directory: Path, words: tuple[str, str], options: str) -> None:
    command = [
        programs.netavark,
        "--config",
        os.fspath(directory),
        "--aardvark-binary",
        programs.aardvark,
        *words,
    ]
    done = process.run(
        command,
        input_bytes=options.encode("utf-8", "surrogateescape"),
        cwd=Path("/"),
        timeout_s=_TIMEOUT_S,
        check=False,
    )
    if done.status:
        raise _failed(words[0], done.stdout, done.stderr)


def _failed(verb: str, stdout: bytes, stderr: bytes) -> EnclosError:
    """netavark says what is wrong as JSON on stdout, and the rest on stderr."""
    said = _said(stdout) or stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    missing = _missing() if "No such file" in said else []
    if missing:
        return HostUnfit(f"netavark needs {' and '.join(missing)}, not installed", hint=_INSTALL)
    return MachineFailed(
        f"netavark cannot {verb} the network: {said or 'it says nothing'}",
        hint="see what is in its way: ip address, iptables-save, nft list ruleset",
    )


def _said(stdout: bytes) -> str:
    try:
        raw: object = json.loads(stdout)
    except ValueError:
        return stdout.decode("utf-8", "replace").strip()
    members = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    return str(members.get("error", ""))
