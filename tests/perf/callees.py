"""Who answers the benchmark of networks: a container of a runtime, or a QEMU started by hand.

All of them run the same: iperf3, busybox' nc that sends back what it gets, and a shell for
whoever connects, by which they are made to call others. Only the network is compared.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from enclos.assets import cpio
from enclos.linux import jail, tun
from enclos.linux.cgroup import group as cgroup
from enclos.linux.cgroup import layout
from enclos.sandbox.sharing import PASST_UID
from enclos.tools import passt
from tests.perf import bare, bundle, commands
from tests.perf.series import Unavailable
from tests.perf.subject import Subject
from tests.support import bridges, netns
from tests.support.bridges import Bridge, Member

STREAM_PORT, TRIP_PORT, SHELL_PORT = 5201, 5202, 5203
PLACE: Final = "perf"
IPERF: Final = f"/{PLACE}/ld.so --library-path /{PLACE} /{PLACE}/iperf3"
_TIMEOUT_S: Final = 60
_READY_S: Final = 180
_POLL_S: Final = 0.5
_MAC: Final = "02:00:00:00:00:{:02x}"
_PASST_MTU: Final = 65_520
_SERVE: Final = (
    f"B=busybox; (while true; do $B nc -l -p {TRIP_PORT} -e $B cat; done) & "
    f"(while true; do $B nc -l -p {SHELL_PORT} -e $B sh; done) & "
    f"while true; do {IPERF} -s >/dev/null 2>&1; $B sleep 0.2; done"
)
_INIT: Final = """\
#!/bin/sh
export PATH=/usr/bin
B=busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
$B modprobe virtio_net
$B ip link set lo up
for i in $($B seq 100); do $B ip link set eth0 mtu {mtu} up && break; $B sleep 0.1; done
$B ip address add {address}/24 dev eth0
"""


@dataclass(frozen=True, slots=True)
class Callee:
    """Who answers at an address of the bridge, and whence it is called."""

    name: str
    address: str
    caller: netns.Netns

    def connect(self, port: int) -> socket.socket:
        """A connection to one of its ports; raises `OSError`."""
        with self.caller.entered():
            return socket.create_connection((self.address, port), timeout=_TIMEOUT_S)

    def shell(self, words: str) -> str:
        """What a command in it writes to stdout."""
        with self.connect(SHELL_PORT) as connection:
            connection.sendall(f"{words}; exit\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def wait_ready(self) -> None:
        """Until its shell answers and knows iperf3; raises `Unavailable`."""
        limit = time.monotonic() + _READY_S
        said = ""
        while "iperf" not in said:
            if time.monotonic() > limit:
                raise Unavailable(f"{self.name} does not answer: {said.strip()[-300:]}")
            try:
                said = self.shell(f"{IPERF} --version")
            except OSError as error:
                said = str(error)
            time.sleep(_POLL_S)


@dataclass(frozen=True, slots=True)
class Site:
    """The bridge they are on, and what they are made of; they go with `stack`."""

    subject: Subject
    bridge: Bridge
    files: dict[str, bytes]
    stack: ExitStack

    def container(self, name: str, command: Sequence[str], *, shared: bool = False) -> Callee:
        """A container with a namespace of its own, or one that shares a host's."""
        return self.stack.enter_context(_container(self, name, command, shared=shared))

    def machine(self, name: str, *, by_passt: bool = False) -> Callee:
        """Our QEMU and kernel, with a tap that is a port of the bridge, or with passt."""
        started = _by_passt(self, name) if by_passt else _by_tap(self, name)
        return self.stack.enter_context(started)


@contextmanager
def _container(site: Site, name: str, command: Sequence[str], *, shared: bool) -> Iterator[Callee]:
    member = site.bridge.member()
    label = f"perf-net-{os.getpid()}-{member.ip['eth0'].rpartition('.')[2]}"
    place = site.subject.scratch / label
    bundle.make(site.subject.assets, place, ["/bin/sh", "-c", _SERVE])
    for path, data in site.files.items():
        target = place / "rootfs" / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755)
    join(place / "config.json", "" if shared else member.netns.path)
    inside = ("nsenter", f"--net={member.netns.path}") if shared else ()
    started = [*inside, *command]
    try:
        commands.run([*started, "run", "--detach", "--bundle", str(place), label])
        yield Callee(name, member.ip["eth0"], site.bridge.host)
    finally:
        subprocess.run([*started, "delete", "--force", label], capture_output=True, check=False)


def join(config: Path, path: str) -> None:
    """Have a bundle's container in the network namespace at `path`; empty for the caller's."""
    spec: dict[str, Any] = json.loads(config.read_text())
    kept = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
    spec["linux"]["namespaces"] = kept + ([{"type": "network", "path": path}] if path else [])
    config.write_text(json.dumps(spec))


@contextmanager
def _by_tap(site: Site, name: str) -> Iterator[Callee]:
    number = next(site.bridge.numbers)
    with site.bridge.host.entered():
        tap, descriptors = tun.create("perf%d")
    try:
        site.bridge.host.script(f"ip link set {tap} master br0 up")
        backend = f"tap,id=n0,fd={descriptors[0]}"
        with _booted(site, name, f"{bridges.NETWORK}.{number}", backend, descriptors[0]) as callee:
            yield callee
    finally:
        os.close(descriptors[0])


@contextmanager
def _by_passt(site: Site, name: str) -> Iterator[Callee]:
    """The address is a member's, as it is for a container that shares its host's network."""
    member: Member = site.bridge.member()
    address = member.ip["eth0"]
    ports = f"--tcp-ports={STREAM_PORT}-{SHELL_PORT}"
    options = (ports, "--udp-ports=none", "--ipv4-only", f"--address={address}")
    tool_root, network = site.subject.assets.tool_root, member.netns.descriptor
    ours, passts = socket.socketpair()
    with (
        ours,
        open(os.devnull, "wb") as nowhere,
        passt.serving(
            tool_root, network, options, uid=PASST_UID, output=nowhere.fileno(), connection=passts
        ) as served,
    ):
        jail.confirm(served.spawned)
        end = ours.fileno()
        with _booted(site, name, address, f"socket,id=n0,fd={end}", end, _PASST_MTU) as callee:
            yield callee


@contextmanager
def _booted(
    site: Site, name: str, address: str, backend: str, descriptor: int, mtu: int = 1500
) -> Iterator[Callee]:
    """Our kernel and initrd with a script in the agent's place, and nothing of the product."""
    script = _INIT.format(address=address, mtu=mtu) + _SERVE
    entries = [cpio.regular(path, data, mode=0o755) for path, data in site.files.items()]
    entries.append(cpio.regular(f"{PLACE}/init", script.encode(), mode=0o755))
    subject = site.subject
    initrd = subject.scratch / f"net-initrd-{address}"
    initrd.write_bytes(subject.assets.initrd.read_bytes() + cpio.archive(entries))
    board = replace(subject.board, extra_command_line=f"rdinit=/{PLACE}/init")
    machine = bare.BareMachine(replace(subject.assets, initrd=initrd), board, -1, -1)
    mac = _MAC.format(int(address.rpartition(".")[2]))
    device = f"virtio-net-pci,netdev=n0,mac={mac},bus=port0,romfile="
    devices = ("-netdev", backend, "-device", device)
    with (
        _grouped(f"perf-net-{os.getpid()}-{address}") as group,
        bare.networked(machine, devices, [descriptor]) as started,
    ):
        cgroup.place(group, started.process.pid)
        yield Callee(name, address, site.bridge.host)


@contextmanager
def _grouped(name: str) -> Iterator[cgroup.Group]:
    """A control group as a container has one: the CPUs are shared out between groups."""
    group = cgroup.create(layout.detect(), name)
    try:
        yield group
    finally:
        cgroup.remove(group)


def programs() -> dict[str, bytes]:
    """iperf3 with the libraries and the linker it needs, by where they go."""
    program = shutil.which("iperf3")
    if program is None:
        raise Unavailable("no iperf3 here: apt-get install iperf3")
    paths = [program]
    for line in commands.run(["ldd", program]).splitlines():
        paths += [word for word in line.split() if word.startswith("/")][:1]
    names = {path: "ld.so" if "ld-linux" in path else Path(path).name for path in paths}
    return {f"{PLACE}/{name}": Path(path).read_bytes() for path, name in names.items()}
