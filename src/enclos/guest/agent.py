"""The handles that every handler of a request gets, and how the agent speaks unasked."""

from __future__ import annotations

from dataclasses import field

from enclos.guest.channel import Channel
from enclos.guest.loop import Loop
from enclos.guest.netns import GuestNetwork
from enclos.guest.reaper import Reaper
from enclos.guest.records import Container
from enclos.guest.streams import Streams
from enclos.structs import dataclass
from enclos.wire import envelopes, frames


@dataclass(frozen=True, slots=True)
class Agent:
    """One per machine."""

    loop: Loop
    channel: Channel
    streams: Streams
    reaper: Reaper
    version: str
    boot_managed_bytes: int
    """The memory that the kernel had to give at boot."""
    containers: dict[str, Container] = field(default_factory=dict[str, Container])
    networks: dict[str, GuestNetwork] = field(default_factory=dict[str, GuestNetwork])

    def say(self, event: str, message: object) -> None:
        """Send an event."""
        self.channel.send(frames.encode_message(frames.EVENT, 0, envelopes.named(event, message)))
