"""The agent in a real guest, spoken to over its port without the product's host side.

One machine, booted cold, serves all tests but those that end it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enclos.errors import (
    Exists,
    InvalidRequest,
    NotFound,
    ProgramNotFound,
    ProgramNotRunnable,
    TimedOut,
    WrongState,
)
from enclos.ids import new_id
from enclos.wire import frames
from enclos.wire.messages import (
    STREAM_WINDOW,
    CreateContainer,
    Exited,
    Identity,
    Nothing,
    Online,
    OutOfMemory,
    Resize,
    Share,
    Signal,
    Stdio,
    Target,
    Update,
)
from tests.support import agentdriver
from tests.support.agentcontainers import Running, process, run, spec
from tests.support.agentdriver import Assets, Guest, Incoming, Peer
from tests.support.cli import Programs

APPLETS = "sh cat dd echo env false grep head id ls ps sleep stty true tty yes ip".split()
MACHINE_ID = "0123456789abcdef0123456789abcdef"
MIB = 1 << 20


@pytest.fixture(scope="module")
def assets(programs: Programs) -> Assets:
    current = programs.data_root / "assets/current"
    return Assets(current, current / "tool-root")


@pytest.fixture(scope="module")
def share(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory to be shared, with a root file system `root` of busybox."""
    made = tmp_path_factory.mktemp("share")
    root = made / "root"
    for name in ("bin", "proc", "dev", "sys", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(assets.tool_root / "usr/bin/busybox", root / "bin/busybox")
    for name in APPLETS:
        os.symlink("busybox", root / "bin" / name)
    (root / "plain").write_text("not to be run")
    (root / "big").write_bytes(os.urandom(32 * MIB))
    return made


@pytest.fixture(scope="module")
def guest(assets: Assets, share: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A machine with an identity and its share mounted."""
    directory = tmp_path_factory.mktemp("guest")
    extra = (
        "-object", "memory-backend-memfd,id=more,size=1G,share=on,reserve=off",
        "-device", "virtio-mem-pci,id=more0,memdev=more,requested-size=0",
    )  # fmt: skip
    with agentdriver.booted(assets, directory, share=share, vcpus=2, extra=extra) as made:
        identify(made.peer)
        made.peer.call("share", Share(agentdriver.SHARE_TAG))
        yield made


@pytest.fixture
def peer(guest: Guest) -> Peer:
    guest.peer.events.clear()
    return guest.peer


def identify(peer: Peer) -> None:
    peer.call("identify", Identity(os.urandom(32).hex(), time.time_ns(), "guest", MACHINE_ID))


@pytest.fixture
def sleeper(peer: Peer) -> Iterator[Running]:
    made = Running(peer, process(["sleep", "1000"]))
    yield made
    made.delete()


def test_the_agent_says_who_it_is(guest: Guest, peer: Peer) -> None:
    again = peer.call("hello", Nothing())
    assert (again.version, again.kernel) == (guest.hello.version, guest.hello.kernel)
    assert again.monotonic_ns > guest.hello.monotonic_ns


def test_output_errors_and_status(peer: Peer) -> None:
    made = Running(peer, process(["sh", "-c", "echo out; echo err >&2; exit 7"]))
    assert made.wait() == 7
    assert (bytes(made.out.data), bytes(made.err.data)) == (b"out\n", b"err\n")
    made.delete()


def test_an_identity_reaches_the_container(peer: Peer) -> None:
    seen: set[bytes] = set()
    for _ in range(2):
        identify(peer)
        script = "cat /proc/sys/kernel/random/boot_id; date +%s; head -c16 /dev/urandom | od -tx8"
        made = run(peer, "busybox", "sh", "-c", script.replace("date", "busybox date"))
        boot_id, seconds = bytes(made.out.data).split(b"\n")[:2]
        assert abs(int(seconds) - time.time()) < 5
        assert len(boot_id) == 36
        seen.add(boot_id)
    assert len(seen) == 2


@pytest.mark.parametrize("entropy", ["", "00" * 31, "zz" * 32])
def test_little_entropy_is_refused(peer: Peer, entropy: str) -> None:
    with pytest.raises(InvalidRequest):
        peer.call("identify", Identity(entropy, time.time_ns(), "guest", MACHINE_ID))


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        ("foo", ProgramNotFound, 'exec: "foo": executable file not found in $PATH'),
        ("/x", ProgramNotFound, 'exec: "/x": stat /x: no such file or directory'),
        ("/plain/x", ProgramNotFound, 'exec: "/plain/x": stat /plain/x: not a directory'),
        ("/etc", ProgramNotRunnable, 'exec: "/etc": permission denied: it is a directory'),
        ("./etc", ProgramNotRunnable, 'exec: "./etc": permission denied: it is a directory'),
        ("/plain", ProgramNotRunnable, 'exec: "/plain": permission denied'),
    ],
)
def test_a_program_that_cannot_run(
    peer: Peer, sleeper: Running, program: str, kind: type[Exception], words: str
) -> None:
    """By create and by exec, before anything has been started."""
    out = peer.reader()
    made = CreateContainer("bad", spec("bad", process([program])), Stdio(0, out.number, 0))
    with pytest.raises(kind) as created:
        peer.call("create", made)
    with pytest.raises(kind) as executed:
        sleeper.execute("bad", process([program]), Stdio(0, peer.reader().number, 0))
    assert str(created.value) == str(executed.value) == words
    assert out.ended
    assert not out.data
    with pytest.raises(NotFound, match="container does not exist"):
        peer.call("start", Target("bad"))


def test_states_are_told_in_the_known_words(peer: Peer) -> None:
    made = Running(peer, process(["sleep", "1000"]))
    with pytest.raises(Exists, match="container with given ID already exists"):
        peer.call("create", CreateContainer(made.id, spec(made.id, process(["true"])), Stdio()))
    with pytest.raises(WrongState, match="cannot start an already running container"):
        peer.call("start", Target(made.id))
    peer.call("pause", Target(made.id))
    with pytest.raises(WrongState, match="cannot exec in a paused container"):
        made.execute("x", process(["true"]))
    peer.call("resume", Target(made.id))
    peer.call("signal", Signal(made.id, 9))
    assert made.wait() == 137
    with pytest.raises(WrongState, match="cannot exec in a stopped container"):
        made.execute("x", process(["true"]))
    with pytest.raises(NotFound, match="container not running"):
        peer.call("signal", Signal(made.id, 0))
    made.delete()
    with pytest.raises(NotFound, match="container does not exist"):
        peer.call("delete", Target(made.id))


def test_what_cannot_be_finished_leaves_no_process(peer: Peer, sleeper: Running) -> None:
    """The name of its network is looked at when its namespace is there."""
    kinds = [{"type": kind} for kind in ("pid", "uts", "mount", "network")]

    def request(network: str) -> CreateContainer:
        described = spec("unfinished", process(["true"]), namespaces=kinds)
        return CreateContainer("unfinished", described, Stdio(), network=network, own_network=True)

    with pytest.raises(InvalidRequest, match="no/name"):
        peer.call("create", request("no/name"))
    assert peer.call("create", request("name")).pid
    peer.call("delete", Target("unfinished"))


def test_exec_statuses_and_signals(peer: Peer, sleeper: Running) -> None:
    assert sleeper.output("three", "sh", "-c", "echo hi; exit 3") == (3, b"hi\n")
    sleeper.execute("nap", process(["sleep", "1000"]))
    peer.call("signal", Signal(sleeper.id, 0, "nap"))
    peer.call("signal", Signal(sleeper.id, 15, "nap"))
    assert peer.event(Exited, exec_id="nap").status == 143
    with pytest.raises(NotFound, match="process already finished"):
        peer.call("signal", Signal(sleeper.id, 0, "nap"))
    with pytest.raises(Exists, match="already exists"):
        sleeper.execute("nap", process(["true"]))
    peer.call("delete", Target(sleeper.id, "nap"))
    with pytest.raises(InvalidRequest, match="no signal 99"):
        peer.call("signal", Signal(sleeper.id, 99))


def test_execs_that_die_with_the_container_are_told_before_it(peer: Peer) -> None:
    made = Running(peer, process(["sleep", "1000"]))
    for name in ("a", "b", "c"):
        made.execute(name, process(["sleep", "1000"]), Stdio(0, peer.reader().number, 0))
    peer.call("signal", Signal(made.id, 9))
    peer.wait(lambda: any(one.exec_id == "" for one in peer.events))
    assert [(one.exec_id == "", one.status) for one in peer.events] == [
        (False, 137), (False, 137), (False, 137), (True, 137),
    ]  # fmt: skip
    made.delete()


def test_everyone_is_killed(peer: Peer, sleeper: Running) -> None:
    sleeper.execute("a", process(["sleep", "1000"]))
    peer.call("signal", Signal(sleeper.id, 9, everyone=True))
    assert sleeper.wait() == 137


def test_a_background_process_does_not_hold_the_news(peer: Peer, sleeper: Running) -> None:
    out = peer.reader()
    script = "(sleep 4; echo late) & echo early"
    sleeper.execute("daemon", process(["sh", "-c", script]), Stdio(0, out.number, 0))
    started = time.monotonic()
    assert peer.event(Exited, exec_id="daemon").status == 0
    assert time.monotonic() - started < 3.5
    assert bytes(out.data) == b"early\n"
    peer.wait(lambda: out.ended)
    assert bytes(out.data) == b"early\nlate\n"


def test_output_is_byte_exact_and_fast(peer: Peer, share: Path) -> None:
    made = Running(peer, process(["cat", "/big", "/big"]))
    assert made.wait() == 0
    made.delete()
    want = (share / "root/big").read_bytes() * 2
    assert hashlib.sha256(made.out.data).digest() == hashlib.sha256(want).digest()


def test_output_keeps_to_its_credit(peer: Peer, sleeper: Running) -> None:
    """The driver itself fails the test if more comes than was granted."""
    out: Incoming = peer.reader(hungry=False)
    args = ["dd", "if=/dev/zero", "bs=1M", "count=4"]
    sleeper.execute("dd", process(args), Stdio(0, out.number, 0))
    peer.wait(lambda: out.total == STREAM_WINDOW)
    peer.call("hello", Nothing())
    assert out.total == STREAM_WINDOW
    while not out.ended:
        if out.owed:
            peer.grant(out)
        peer.wait(lambda: out.owed > 0 or out.ended)
    assert out.total == 4 * MIB
    assert peer.event(Exited, exec_id="dd").status == 0


def test_input_reaches_its_end(peer: Peer, sleeper: Running) -> None:
    data = os.urandom(3 * MIB)
    source, out = peer.writer(), peer.reader()
    sleeper.execute("cat", process(["cat"]), Stdio(source, out.number, 0))
    peer.write(source, data)
    peer.end(source)
    assert peer.event(Exited, exec_id="cat").status == 0
    assert bytes(out.data) == data


def test_input_that_nobody_reads_is_reset(peer: Peer, sleeper: Running) -> None:
    source = peer.writer()
    sleeper.execute("deaf", process(["sh", "-c", "exec <&-; sleep 1"]), Stdio(source, 0, 0))
    with pytest.raises(BrokenPipeError):
        peer.write(source, bytes(4 * MIB))
    assert peer.event(Exited, exec_id="deaf").status == 0


def test_output_that_nobody_wants_is_a_broken_pipe(peer: Peer, sleeper: Running) -> None:
    out = peer.reader()
    sleeper.execute("yes", process(["yes"]), Stdio(0, out.number, 0))
    peer.wait(lambda: out.total > 0)
    peer.send(frames.encode(frames.RESET, out.number))
    assert peer.event(Exited, exec_id="yes").status == 141


def test_a_terminal(peer: Peer, sleeper: Running) -> None:
    source, out = peer.writer(), peer.reader()
    shell = process(["sh"], terminal=True)
    sleeper.execute("tty", shell, Stdio(source, out.number, 0, terminal=True, rows=40, columns=100))
    peer.write(source, b"stty size; tty\n")
    peer.wait(lambda: b"40 100\r\n/dev/pts/" in out.data)
    peer.call("resize", Resize(sleeper.id, 50, 120, "tty"))
    peer.write(source, b"sleep 1000\n")
    peer.wait(lambda: out.data.rstrip().endswith(b"sleep 1000"))
    time.sleep(0.5)
    peer.write(source, b"\x03stty size\n")
    peer.wait(lambda: b"50 120" in out.data)
    peer.write(source, b"exit 5\n")
    assert peer.event(Exited, exec_id="tty").status == 5
    assert out.ended
    with pytest.raises(InvalidRequest, match="no terminal"):
        peer.call("resize", Resize(sleeper.id, 50, 120))


def test_memory_that_runs_out_is_told_before_the_exit(peer: Peer) -> None:
    limit = {"memory": {"limit": 30 * MIB, "swap": 30 * MIB}}
    script = "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done"
    made = Running(peer, process(["sh", "-c", script]), resources=limit)
    assert made.wait() == 137
    assert [one for one in peer.events if isinstance(one, OutOfMemory)] == [OutOfMemory(made.id)]
    made.delete()


def test_limits_figures_and_the_process_table(peer: Peer, sleeper: Running) -> None:
    peer.call("update", Update(sleeper.id, json.dumps({"memory": {"limit": 50 * MIB}})))
    files = peer.call("stats", Target(sleeper.id)).files
    assert files["memory.max"] == f"{50 * MIB}\n"
    assert files["pids.current"] == "1\n"
    assert "usage_usec" in files["cpu.stat"]
    assert "lo:" in files["net/dev"]
    sleeper.execute("nap", process(["sleep", "999"]))
    rows = peer.call("processes", Target(sleeper.id)).rows
    assert sorted(row.command for row in rows) == ["sleep 1000", "sleep 999"]
    with pytest.raises(InvalidRequest):
        peer.call("update", Update(sleeper.id, "{"))


def test_a_paused_container_stands_still(peer: Peer) -> None:
    made = Running(peer, process(["sh", "-c", "while true; do echo x; done"]))
    peer.wait(lambda: made.out.total > 0)
    peer.call("pause", Target(made.id))
    usage = peer.call("stats", Target(made.id)).files["cpu.stat"].splitlines()[0]
    assert peer.call("stats", Target(made.id)).files["cpu.stat"].splitlines()[0] == usage
    peer.call("resume", Target(made.id))
    total = made.out.total
    peer.wait(lambda: made.out.total > total + MIB)
    made.delete()


def test_containers_inherit_nothing_of_the_agent(peer: Peer) -> None:
    script = "grep SigIgn /proc/self/status; ulimit -n; ls /proc/self/fd; env"
    lines = bytes(run(peer, "sh", "-c", script).out.data).decode().split()
    assert lines[:3] == ["SigIgn:", "0000000000000000", "1048576"]
    assert sorted(lines[3:7]) == ["0", "1", "2", "3"]
    assert "LC_ALL=C" not in lines


def test_limits_are_not_those_of_the_memory_at_boot(peer: Peer) -> None:
    script = "cat /proc/sys/kernel/threads-max /proc/sys/user/max_user_namespaces; ulimit -u"
    out = bytes(run(peer, "sh", "-c", script).out.data).split()
    assert out == [b"1000000", b"65536", b"unlimited"]


def test_the_kernel_loads_modules_on_demand(peer: Peer) -> None:
    sets = ("bounding", "effective", "permitted")
    able = {"capabilities": {name: ["CAP_NET_ADMIN"] for name in sets}}
    made = run(peer, "ip", "link", "add", "enclos0", "type", "dummy", more=able)
    assert not made.err.data
    run(peer, "ip", "link", "del", "enclos0", more=able)


def test_memory_and_processors_come_online(guest: Guest, peer: Peer) -> None:
    wanted = {"path": "/machine/peripheral/more0", "property": "requested-size"}
    guest.command("qom-set", **wanted, value=128 * MIB)
    got = peer.call("online", Online(128 * MIB, 2))
    assert (got.memory_bytes, got.vcpus) == (128 * MIB, 2)
    with pytest.raises(TimedOut, match="after 100 ms"):
        peer.call("online", Online(1 << 40, 1, timeout_ms=100))


def test_devices_are_looked_for(peer: Peer) -> None:
    addresses = peer.call("rescan", Nothing()).addresses
    assert "0000:00:00.0" in addresses
    assert sorted(addresses) == list(addresses)


def test_a_share_is_mounted_once(peer: Peer) -> None:
    with pytest.raises(WrongState, match="mounted already"):
        peer.call("share", Share(agentdriver.SHARE_TAG))


@pytest.fixture
def outer(share: Path) -> Iterator[str]:
    """A directory, of a name nobody knows yet, in which `apart` is a mount of the host's: the root
    file system, which is a mount of the guest's as well."""
    place = share / new_id() / "apart"
    place.mkdir(parents=True)
    subprocess.run(["mount", "--bind", share / "root", place], check=True)
    yield place.parent.name
    subprocess.run(["umount", "--lazy", place], check=True)
    place.rmdir()
    place.parent.rmdir()


@pytest.mark.parametrize("part", ["root", "volume"])
def test_a_container_may_be_killed_while_its_program_is_read(
    guest: Guest, peer: Peer, outer: str, part: str
) -> None:
    """Then the last that has the program's mount is an answer that the host owes."""
    typed = peer.writer()
    where: dict[str, Any] = {"root": {"root": f"{outer}/apart"}, "volume": {"volume": outer}}[part]
    program = {"root": "sh", "volume": "/volume/apart/bin/sh"}[part]
    made = Running(peer, process([program, "-xc", "read x; printf %d 1"]), stdin=typed, **where)
    peer.wait(lambda: made.err.total)
    time.sleep(1)
    assert guest.sharer is not None
    guest.sharer.send_signal(signal.SIGSTOP)
    try:
        peer.write(typed, b"go on, to a part of it that is not there yet\n")
        peer.wait(lambda: b"printf" in made.err.data)
        time.sleep(1)
        assert not made.out.total, "it was there"
        peer.call("signal", Signal(made.id, signal.SIGKILL))
        assert made.wait() == 128 + signal.SIGKILL
        time.sleep(0.5)  # for the kernel to take its mounts down
        assert peer.call("hello", Nothing()).kernel
        peer.post("delete", Target(made.id))
        time.sleep(1)
    finally:
        guest.sharer.send_signal(signal.SIGCONT)
    assert run(peer, "true", **where).out.ended


@pytest.mark.parametrize("part", ["root", "volume"])
def test_a_name_that_is_used_again_at_once(peer: Peer, share: Path, part: str) -> None:
    """The guest keeps for a second what it has learnt of the host's directories."""
    file = {"root": "plain", "volume": "/volume/plain"}[part]
    other = share / f"other-{part}"
    shutil.copytree(share / "root", other, symlinks=True)
    (other / "plain").write_text("of the second")
    where: dict[str, Any] = {part: f"again-{part}/it"}
    place = share / where[part]
    seen: list[bytes] = []
    for tree in (share / "root", other, share / "root", other):
        place.mkdir(parents=True)
        subprocess.run(["mount", "--bind", tree, place], check=True)
        seen.append(bytes(run(peer, "cat", file, **where).out.data))
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()
        place.parent.rmdir()
    assert seen == [b"not to be run", b"of the second"] * 2


def test_trimmed_and_still_there(guest: Guest, peer: Peer) -> None:
    """Again and again: with memory added, not all that is free can be had by a process."""
    wanted = {"path": "/machine/peripheral/more0", "property": "requested-size"}
    guest.command("qom-set", **wanted, value=128 * MIB)
    peer.call("online", Online(128 * MIB, 2))
    for _ in range(3):
        trimmed = peer.call("trim", Nothing(), timeout_s=120)
        assert trimmed.zeroed_bytes > 64 * MIB
        assert run(peer, "echo", "alive").out.data == b"alive\n"


def test_rubbish_ends_the_machine(assets: Assets, tmp_path: Path) -> None:
    with agentdriver.booted(assets, tmp_path) as made:
        made.peer.send(b"\xff" * 100)
        assert made.process.wait(30) == 0
        assert "not a frame header" in made.console.read_text()


def test_power_off(assets: Assets, tmp_path: Path) -> None:
    with agentdriver.booted(assets, tmp_path) as made:
        made.peer.call("poweroff", Nothing())
        assert made.process.wait(30) == 0
        assert "Power down" in made.console.read_text()
