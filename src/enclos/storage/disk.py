"""Errors of the file system said in our words: whose fault it is, and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final

from enclos.errors import HostUnfit, InvalidRequest

_HINTS: Final = {
    errno.ENOSPC: "free space or inodes on that file system, or move the data root",
    errno.EDQUOT: "raise the quota, or move the data root",
    errno.EROFS: "mount the data root read-write, or move it",
    errno.EIO: "check the disk and the kernel's log",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the host's limit of open files (fs.file-max)",
    errno.ENOMEM: "free memory",
}


@contextlib.contextmanager
def disk_errors(attempt: str) -> Iterator[None]:
    """Turn an `OSError` into `HostUnfit` if the host is at fault, else `InvalidRequest`.

    `attempt` begins the message, e.g. "layer X: cannot unpack 'etc/passwd'".
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = _HINTS.get(error.errno or 0)
        if hint is not None:
            raise HostUnfit(f"{attempt}: {reason}", hint=hint) from error
        raise InvalidRequest(f"{attempt}: {reason}") from error
