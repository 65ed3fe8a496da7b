"""Tells the answer or the error to whoever called.

An error is a line in the log file, and a line on standard error.

Engines read one or the other, and look for words in it: containerd's shim takes the log's last
error, conmon sends what is on standard error. Imports next to nothing, for the fast verbs.
"""

from __future__ import annotations

import os
import time

from enclos.errors import EnclosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MODE: Final = 0o644


def report(error: EnclosError, *, log: str, log_format: str) -> None:
    """Write both lines; `log` is empty without a log file."""
    line = text_of(error)
    tail = f"\n{error.detail.rstrip()}" if error.detail else ""
    if log:
        entry = entry_of("error", f"{line}{tail}", log_format=log_format)
        failed = _append(log, entry)
        if failed:
            _write(2, f"cannot write to the log {log}: {failed}\n")
    _write(2, f"{line}{tail}\n")


def answer(text: str | bytes) -> None:
    """What a verb was asked for, to standard output, all of it; raises `EnclosError`."""
    try:
        _write_all(1, text.encode() if isinstance(text, str) else text)
    except OSError as error:
        raise EnclosError(f"cannot write to standard output: {error.strerror}") from error


def text_of(error: EnclosError) -> str:
    """The error in one line, its hint in brackets."""
    message = " ".join(error.message.split("\n"))
    return f"{message} ({error.hint})" if error.hint else message


def entry_of(level: str, message: str, *, log_format: str) -> str:
    """A line of the log, as runc's logger writes it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if log_format == "json":
        return f'{{"level":"{level}","msg":{quoted(message)},"time":"{stamp}"}}\n'
    return f'time="{stamp}" level={level} msg={quoted(message)}\n'


def quoted(text: str) -> str:
    """`text` as a JSON string."""
    out: list[str] = []
    for char in text.encode("utf-8", "replace").decode():
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        else:
            out.append(f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char)
    return f'"{"".join(out)}"'


def _append(path: str, entry: str) -> str:
    """The error by number, as engines look for words in what we say; empty if it was written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
    except OSError as error:
        return f"error {error.errno}"
    try:
        _write(descriptor, entry)
    finally:
        os.close(descriptor)
    return ""


def _write(descriptor: int, text: str) -> None:
    """Write all of it; nobody to read it is no reason to fail differently."""
    try:
        _write_all(descriptor, text.encode("utf-8", "replace"))
    except OSError:
        return


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
