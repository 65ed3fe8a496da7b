"""Rows about networks: TCP streams and round trips to a program in a container on a bridge.

The host is a namespace of the benchmark with a bridge. Beside runc, whose containers have the
host's kernel, and beside our QEMU, kernel and initrd with a tap on the same bridge and nothing
of the product around them: under emulation the guest's CPU is the limit, and only the ratio says
what the product adds. iperf3 and busybox' nc answer; the caller is on the bridge's host.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from enclos.assets import cpio
from enclos.linux import tun
from tests.perf import bare, bundle, commands
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import Subject
from tests.support import bridges, netns
from tests.support.bridges import Bridge

IN, OUT, TRIPS = "stream in", "stream out", "round trips"
BARE, OWN, HOSTS = "bare QEMU", "enclos", "enclos, host's network"
_PLACE: Final = "perf"
_STREAM_PORT: Final = 5201
_TRIP_PORT: Final = 5202
_SECONDS: Final = 3
_TRIPS: Final = 500
_READY_S: Final = 180
_MAC: Final = "02:00:00:00:00:77"
_SERVE: Final = (
    f"B=busybox; (while true; do $B nc -l -p {_TRIP_PORT} -e $B cat; done) & "
    f"L=/{_PLACE}; while true; do $L/ld.so --library-path $L $L/iperf3 -s; $B sleep 1; done"
)
_INIT: Final = """\
#!/bin/sh
export PATH=/usr/bin
B=busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
$B modprobe virtio_net
$B ip link set lo up
for i in $($B seq 100); do $B ip link set eth0 up && break; $B sleep 0.1; done
$B ip address add {address}/24 dev eth0
"""


def row(target: str, what: str) -> str:
    """The name of a row."""
    return f"{target}: {what}"


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("networks", 5, lambda: _rows(subject))]


@dataclass(frozen=True, slots=True)
class _Callee:
    """Who answers at an address, and whence it is called."""

    name: str
    address: str
    caller: netns.Netns


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    rows: list[Row | Missing] = []
    with ExitStack() as stack:
        bridge = stack.enter_context(bridges.new())
        files = _programs()
        for name, start in _targets(subject, bridge, files, stack):
            try:
                callee = start()
                _wait_ready(callee)
            except (Unavailable, AssertionError, OSError) as error:
                rows.append(Missing(name, str(error)[:300]))
                continue
            rows += [
                Row(row(name, IN), "Mb/s", partial(_stream, callee)),
                Row(row(name, OUT), "Mb/s", partial(_stream, callee, "--reverse")),
                Row(row(name, TRIPS), "1/s", partial(_trips, callee)),
            ]
        yield rows


def _targets(
    subject: Subject, bridge: Bridge, files: dict[str, bytes], stack: ExitStack
) -> Iterator[tuple[str, Callable[[], _Callee]]]:
    runtimes: list[tuple[str, tuple[str, ...]]] = [("enclos", (subject.enclos_oci,))]
    runtimes += [("runc", ("runc", "--root", str(subject.scratch / "net-runc")))]
    if subject.runsc:
        flags = ("--ignore-cgroups", "--platform=systrap", "--network=sandbox")
        root = str(subject.scratch / "net-runsc")
        runtimes.append(("runsc", (subject.runsc, "--root", root, *flags)))
    for name, command in runtimes:
        container = _Container(name, command, bridge, subject, files)
        yield name, partial(_opened, stack, _running(container, shared=False))
    for name, command in runtimes[:2]:
        container = _Container(f"{name}, host's network", command, bridge, subject, files)
        yield container.name, partial(_opened, stack, _running(container, shared=True))
    yield BARE, partial(_opened, stack, _bare(subject, bridge, files))


def _opened(stack: ExitStack, context: AbstractContextManager[_Callee]) -> _Callee:
    return stack.enter_context(context)


@dataclass(frozen=True, slots=True)
class _Container:
    name: str
    command: tuple[str, ...]
    bridge: Bridge
    subject: Subject
    files: dict[str, bytes]


@contextmanager
def _running(made: _Container, *, shared: bool) -> Iterator[_Callee]:
    """The container on the bridge, or within a member's network as its host's."""
    member = made.bridge.member()
    label = "".join(letter for letter in made.name if letter.isalpha())
    place = made.subject.scratch / f"net-{label}"
    bundle.make(made.subject.assets, place, ["/bin/sh", "-c", _SERVE])
    for name, data in made.files.items():
        path = place / "rootfs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    _join(place / "config.json", "" if shared else member.netns.path)
    inside = ("nsenter", f"--net={member.netns.path}") if shared else ()
    command = [*inside, *made.command]
    name = f"perf-net-{label}-{os.getpid()}"
    try:
        commands.run([*command, "run", "--detach", "--bundle", str(place), name])
        yield _Callee(made.name, member.ip["eth0"], made.bridge.host)
    finally:
        subprocess.run([*command, "delete", "--force", name], capture_output=True, check=False)


def _join(config: Path, path: str) -> None:
    spec: dict[str, Any] = json.loads(config.read_text())
    kept = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
    spec["linux"]["namespaces"] = kept + ([{"type": "network", "path": path}] if path else [])
    config.write_text(json.dumps(spec))


@contextmanager
def _bare(subject: Subject, bridge: Bridge, files: dict[str, bytes]) -> Iterator[_Callee]:
    """Our QEMU and kernel, started by hand, with a tap that is a port of the bridge."""
    address = f"{bridges.NETWORK}.{next(bridge.numbers)}"
    script = _INIT.format(address=address) + _SERVE
    entries = [cpio.regular(name, data, mode=0o755) for name, data in files.items()]
    entries.append(cpio.regular(f"{_PLACE}/init", script.encode(), mode=0o755))
    initrd = subject.scratch / "net-initrd"
    initrd.write_bytes(subject.assets.initrd.read_bytes() + cpio.archive(entries))
    board = replace(subject.board, extra_command_line=f"rdinit=/{_PLACE}/init")
    machine = bare.BareMachine(replace(subject.assets, initrd=initrd), board, -1, -1)
    with bridge.host.entered():
        tap, descriptors = tun.create("perf%d")
    bridge.host.script(f"ip link set {tap} master br0 up")
    try:
        device = ("-netdev", f"tap,id=n0,fd={descriptors[0]}",
                  "-device", f"virtio-net-pci,netdev=n0,mac={_MAC},bus=port0,romfile=")  # fmt: skip
        with bare.networked(machine, device, descriptors):
            yield _Callee(BARE, address, bridge.host)
    finally:
        os.close(descriptors[0])


def _programs() -> dict[str, bytes]:
    """iperf3 with the libraries and the linker it needs, by where they go."""
    program = shutil.which("iperf3")
    if program is None:
        raise Unavailable("no iperf3 here: apt-get install iperf3")
    paths = [program]
    for line in commands.run(["ldd", program]).splitlines():
        paths += [word for word in line.split() if word.startswith("/")][:1]
    names = {path: "ld.so" if "ld-linux" in path else Path(path).name for path in paths}
    return {f"{_PLACE}/{name}": Path(path).read_bytes() for path, name in names.items()}


def _wait_ready(callee: _Callee) -> None:
    limit = time.monotonic() + _READY_S
    while True:
        try:
            _trips(callee, 1)
            _stream(callee, seconds=1)
        except (Unavailable, OSError):
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)
        else:
            return


def _stream(callee: _Callee, *flags: str, seconds: int = _SECONDS) -> float:
    """Megabits a second that arrived."""
    argv = ["nsenter", f"--net={callee.caller.path}", "iperf3", "--json", "--time", str(seconds),
            "--port", str(_STREAM_PORT), "--client", callee.address, *flags]  # fmt: skip
    found: dict[str, Any] = json.loads(commands.run(argv))
    received = found.get("end", {}).get("sum_received")
    if received is None:
        raise Unavailable(f"iperf3 has no result: {found.get('error', 'and does not say why')}")
    return float(received["bits_per_second"]) / 1e6


def _trips(callee: _Callee, count: int = _TRIPS) -> float:
    """Requests of one byte that are answered in a second, one after the other."""
    with callee.caller.entered():
        connection = socket.create_connection((callee.address, _TRIP_PORT), timeout=20)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.perf_counter()
        for _ in range(count):
            connection.send(b"x")
            if not connection.recv(1):
                raise Unavailable(f"{callee.name} hung up")
        return count / (time.perf_counter() - start)
