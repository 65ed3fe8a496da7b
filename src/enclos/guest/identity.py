"""Makes a clone itself: entropy, clock, host name, machine id, boot id.

The kernel's boot id cannot be set, so a fresh one lies in BOOT_ID and is bound over
/proc/sys/kernel/random/boot_id here; a container has a procfs of its own, so the host adds the
same bind mount (source BOOT_ID, read-only) to the spec it sends.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import Final

from enclos.errors import InvalidRequest
from enclos.guest.agent import Agent
from enclos.linux import libc
from enclos.wire.messages import Clock, Identity, Nothing, Step
from enclos.wire.places import BOOT_ID_PATH

_KERNEL_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_MIN_ENTROPY_BYTES: Final = 32


async def identify(_: Agent, request: Identity) -> Nothing:
    """Take on an identity; raises `InvalidRequest` for too little entropy."""
    try:
        entropy = bytes.fromhex(request.entropy)
    except ValueError as error:
        raise InvalidRequest(f"entropy is not hexadecimal: {error}") from error
    if len(entropy) < _MIN_ENTROPY_BYTES:
        raise InvalidRequest(f"{len(entropy)} bytes of entropy are fewer than 32")
    _reseed(entropy)
    time.clock_settime_ns(time.CLOCK_REALTIME, request.time_ns)
    _name(request.hostname)
    with open("/etc/machine-id", "w", encoding="ascii") as file:
        file.write(f"{request.machine_id}\n")
    _renew_boot_id()
    return Nothing()


async def clock(_: Agent, request: Step) -> Clock:
    """Put the clock right and say what it shows; raises `InvalidRequest` for no time at all."""
    if request.offset_ns:
        try:
            time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + request.offset_ns)
        except (OSError, OverflowError) as error:
            raise InvalidRequest(f"no such time: {error}") from error
    return Clock(time.time_ns())


def _reseed(entropy: bytes) -> None:
    pool = struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy
    descriptor = os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, libc.RNDADDENTROPY, pool)
        fcntl.ioctl(descriptor, libc.RNDRESEEDCRNG)
    finally:
        os.close(descriptor)


def _name(hostname: str) -> None:
    try:
        with open("/proc/sys/kernel/hostname", "w", encoding="utf-8") as file:
            file.write(hostname)
    except OSError as error:
        raise InvalidRequest(f"cannot be called {hostname[:80]!r}: {error}") from error


def _renew_boot_id() -> None:
    number = bytearray(os.urandom(16))
    number[6] = number[6] & 0x0F | 0x40  # a random UUID, as the kernel's own is
    number[8] = number[8] & 0x3F | 0x80
    text = number.hex()
    bound = os.path.exists(BOOT_ID_PATH)
    with open(BOOT_ID_PATH, "w", encoding="ascii") as file:
        file.write("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])) + "\n")
    if not bound:
        os.chmod(BOOT_ID_PATH, 0o444)
        libc.mount(BOOT_ID_PATH, _KERNEL_BOOT_ID, "", libc.MS_BIND, "")
