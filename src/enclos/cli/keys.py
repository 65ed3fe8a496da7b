"""Detach keys: a sequence typed at a terminal that means the command, not the program. PURE."""

from __future__ import annotations

from typing import Final

from enclos.errors import InvalidRequest

DEFAULT: Final = "ctrl-p,ctrl-q"
_CONTROL: Final = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse(text: str) -> bytes:
    """The bytes of `ctrl-p,ctrl-q` or `a,b`; empty text means that there are none."""
    return bytes(_key(word) for word in text.split(",")) if text else b""


def _key(word: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    letter = word.lower().removeprefix("ctrl-")
    if word.lower().startswith("ctrl-") and len(letter) == 1:
        if letter in _CONTROL:
            return _CONTROL[letter]
        if "a" <= letter <= "z":
            return ord(letter) - ord("a") + 1
    raise InvalidRequest(
        f"unknown detach key {word[:40]!r}", hint="write letters or ctrl-LETTER, with commas"
    )


class Watcher:
    """Passes typed bytes on, holding back what may be the beginning of the sequence."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """What of `data`, and of what was held back, is for the program."""
        passed = bytearray()
        for byte in data:
            if not self._keys or self.detached:
                passed.append(byte)
                continue
            if byte != self._keys[self._matched]:
                passed += self._keys[: self._matched]
                self._matched = 0
            if byte == self._keys[self._matched]:
                self._matched += 1
                self.detached = self._matched == len(self._keys)
            else:
                passed.append(byte)
        return bytes(passed)
