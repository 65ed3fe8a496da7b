"""A client's end of a supervisor's socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from enclos.errors import WrongState
from enclos.sandbox.client import Connection
from enclos.wire import codec, envelopes, frames
from enclos.wire import messages as m

HELLO = m.Hello("v" * 100_000, "6.12", 1)


class Ends:
    """A client and the supervisor's end."""

    def __init__(self, stack: ExitStack) -> None:
        ours, theirs = socket.socketpair()
        self.client = Connection(stack.enter_context(ours))
        self.supervisor = stack.enter_context(theirs)

    def say(self, *data: bytes) -> None:
        self.supervisor.sendall(b"".join(data))


@pytest.fixture
def ends() -> Iterator[Ends]:
    with ExitStack() as stack:
        yield Ends(stack)


def test_a_long_answer_comes_in_frames_between_others(ends: Ends) -> None:
    number = ends.client.post("hello", m.Nothing())
    whole = frames.encode_message(frames.REPLY, number, codec.encode(HELLO))
    cut = frames.HEADER_BYTES + frames.MAX_PAYLOAD
    ends.say(whole[:cut], frames.encode(frames.EVENT, 0, b"x\n{}"), whole[cut:])
    assert ends.client.wait_reply(number, m.Hello, timeout_s=5) == HELLO


def test_an_error_is_raised_as_it_was(ends: Ends) -> None:
    number = ends.client.post("start", m.Target("c"))
    error = WrongState("not now", hint="later", detail="why")
    ends.say(frames.encode_message(frames.ERROR, number, envelopes.failure(error)))
    with pytest.raises(WrongState, match="not now") as caught:
        ends.client.wait_reply(number, m.Nothing, timeout_s=5)
    assert (caught.value.hint, caught.value.detail) == ("later", "why")


def test_answers_that_nobody_asks_for_are_not_kept(ends: Ends) -> None:
    """A stand-in forwards signals for as long as its container lives."""
    first = ends.client.post("stand", m.Target("c"))
    for number, kind in enumerate((frames.REPLY, frames.ERROR) * 50, first + 1):
        ends.client.tell("signal", m.Signal("c", 10))
        ends.say(frames.encode(kind, number, b"{}"))
        ends.client.receive(timeout_s=5)
        assert ends.supervisor.recv(65536)
    assert not any(ends.client.answered(number) for number in range(first, first + 101))
    assert not ends.client._unwanted
