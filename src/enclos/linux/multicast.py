"""Hearing every group on an interface that otherwise hands on those alone that its owner joined.

A packet socket that receives nothing asks for it; the kernel takes the wish back with the socket.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_ALLMULTI: Final = 2
_REQUEST: Final = struct.Struct("=iHH8x")


def hear_all(index: int) -> socket.socket:
    """A socket of the caller's network namespace; until it is closed all groups are heard.

    Raises `OSError` if there is no such interface.
    """
    asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        asking.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, _REQUEST.pack(index, _ALLMULTI, 0))
    except BaseException:
        asking.close()
        raise
    return asking
