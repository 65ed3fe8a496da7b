"""Descriptors of others that bytes go to and come from, without blocking.

Those shared with somebody else must not become non-blocking for them, so pipes and terminals are
opened anew by /proc/self/fd where possible.
"""

from __future__ import annotations

import os
import stat


def private(descriptor: int, *, writing: bool) -> int:
    """A non-blocking descriptor for the same object; takes over and closes `descriptor`."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        flags = (os.O_WRONLY if writing else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fresh = os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NOCTTY)
        except OSError:
            os.set_blocking(descriptor, False)  # a pty master, or of another mount namespace
            return descriptor
        os.close(descriptor)
        return fresh
    if stat.S_ISSOCK(mode):
        os.set_blocking(descriptor, False)
    return descriptor


def nothing() -> None:
    """Gives back what was not taken."""
