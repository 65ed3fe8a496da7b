"""A connection in a network of the containers, coupled with two streams to the host."""

from __future__ import annotations

import os
import socket

from enclos.errors import InvalidRequest
from enclos.guest.agent import Agent
from enclos.guest.streams import Input, Output, Streams


def check(agent: Agent, inward: int, outward: int) -> None:
    """Raises `InvalidRequest` for numbers that no new streams can have."""
    numbers = (inward, outward)
    if inward == outward or any(n in agent.streams or not 0 < n < 1 << 32 for n in numbers):
        raise InvalidRequest(f"stream numbers {numbers} are out of range or in use")


def couple(agent: Agent, connection: socket.socket, inward: int, outward: int) -> None:
    """What comes on `inward` goes to `connection`, now ours; what it says goes out on `outward`."""
    _Sending(agent.streams, inward, connection)
    Output(agent.streams, outward).attach(os.dup(connection.fileno()))


class _Sending(Input):
    """What the host sends; its end is told to the other side, who may go on talking."""

    def __init__(self, streams: Streams, number: int, connection: socket.socket) -> None:
        super().__init__(streams, number)
        self._connection = connection
        self.attach(os.dup(connection.fileno()))

    def close(self) -> None:
        """See `Input`."""
        super().close()
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it was never connected, or is no longer
        finally:
            self._connection.close()
