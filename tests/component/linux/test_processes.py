"""Programs, forks, references to processes, signals."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from enclos.errors import HostUnfit, MachineFailed, TimedOut
from enclos.linux import capabilities, fork, namespaces, pid, pidfd, process
from enclos.linux.pid import ProcessRef
from tests.support.children import inside

PYTHON = sys.executable


def test_output_status_and_input_are_kept() -> None:
    code = "import sys; print(sys.stdin.read()); sys.exit(3)"
    done = process.run([PYTHON, "-c", code], input_bytes=b"in", check=False)
    assert (done.status, done.stdout, done.stderr) == (3, b"in\n", b"")


def test_a_failure_carries_the_end_of_the_errors() -> None:
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(99)]; sys.exit(2)"
    with pytest.raises(MachineFailed, match=r"failed with status 2: line 98") as caught:
        process.run([PYTHON, "-c", code])
    assert "line 97" in caught.value.detail
    assert "line 10\n" not in caught.value.detail


def test_a_signal_is_named() -> None:
    with pytest.raises(MachineFailed, match="failed with signal 9"):
        process.run([PYTHON, "-c", "import os; os.kill(os.getpid(), 9)"])


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(HostUnfit, match="enclos-nothing is not installed") as caught:
        process.run(["enclos-nothing"], package="nothing-utils")
    assert caught.value.hint == "run: apt-get install nothing-utils"


def test_what_cannot_be_executed_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    for path in (tmp_path / "text", tmp_path):
        with pytest.raises(HostUnfit):
            process.run([str(path)])
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(MachineFailed, match="cannot run"):
        process.run([str(tmp_path / "text")])


def test_programs_are_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert process.find("sh") in {"/usr/bin/sh", "/bin/sh"}


def test_a_slow_program_is_killed_at_the_limit() -> None:
    with pytest.raises(TimedOut, match=r"within 0\.1 s"):
        process.run(["sleep", "60"], timeout_s=0.1)


def test_descriptors_are_passed_on_request_only() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    code = f"import os; os.write({writer}, b'x')"
    assert process.run([PYTHON, "-c", code], pass_fds=[writer]).status == 0
    assert process.run([PYTHON, "-c", code], check=False).status == 1
    os.close(writer)
    assert os.read(reader, 9) == b"x"
    os.close(reader)


def test_lines_come_as_they_are_written() -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(4)"
    seen: list[str] = []
    with pytest.raises(MachineFailed, match="status 4"):
        seen.extend(process.lines([PYTHON, "-c", code]))
    assert seen == ["out", "err"]


def test_a_running_program_ends_with_its_context() -> None:
    with process.running(["sleep", "60"]) as child:
        found = pid.ref(child.pid)
        assert found.alive()
    assert not found.alive()


@pytest.mark.usefixtures("leak_check")
def test_a_detached_process_is_adopted_and_known(tmp_path: Path) -> None:
    def body() -> int:
        (tmp_path / "said").write_text(f"{os.getpid()} {os.getsid(0)}")
        time.sleep(60)
        return 0

    found = fork.fork_detached(body)
    while not (tmp_path / "said").exists() or not (tmp_path / "said").read_text():
        assert found.alive()
    own, session = map(int, (tmp_path / "said").read_text().split())
    assert own == session == found.pid
    assert pid.parent(found.pid) == os.getpid()  # `leak_check` made this process the adopter
    assert pidfd.send_signal(found, signal.SIGKILL)
    assert pidfd.wait_end(found, timeout_s=5)
    assert not found.alive()
    assert not pidfd.send_signal(found, signal.SIGKILL)


def test_a_signal_does_not_hit_another_start_time() -> None:
    with process.running(["sleep", "60"]) as child:
        found = pid.ref(child.pid)
        stale = ProcessRef(found.pid, found.start - 1)
        assert not pidfd.send_signal(stale, signal.SIGKILL)
        assert pidfd.wait_end(stale, timeout_s=0)
        assert found.alive()
        assert not pidfd.wait_end(found, timeout_s=0.01)
        assert pidfd.send_signal(found, 0)
        assert pidfd.kill_all([found, stale]) == []


def test_a_zombie_is_not_alive() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert pid.start_time(child) == 0
    os.waitpid(child, 0)


def test_names_with_brackets_and_spaces_do_not_confuse() -> None:
    def body() -> None:
        before = pid.start_time(os.getpid())
        fork.set_process_name("a) b (c) R 1")
        assert pid.start_time(os.getpid()) == before > 0

    inside(body)


def test_descriptors_are_closed_but_for_the_kept() -> None:
    def body() -> int:
        kept, other = os.open("/", os.O_PATH), os.open("/", os.O_PATH)
        reports = os.dup(2)
        fork.close_fds_except([2, kept, reports])
        os.fstat(kept)
        for gone in (0, other):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(gone)
        return 0

    child = os.fork()
    if child == 0:
        fork.run_and_exit(body)
    assert os.waitpid(child, 0)[1] == 0


def test_signals_are_reset() -> None:
    def body() -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        fork.reset_signals()
        assert signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return 0

    child = os.fork()
    if child == 0:
        fork.run_and_exit(body)
    assert os.waitpid(child, 0)[1] == 0


def test_capabilities_are_given_up_for_good() -> None:
    keep = frozenset({"CAP_CHOWN", "CAP_MKNOD"})

    def body() -> None:
        capabilities.bound(keep)
        capabilities.limit(keep)
        assert capabilities.effective() == keep
        with pytest.raises(PermissionError):
            capabilities.limit(keep | {"CAP_SYS_ADMIN"})
        status = process.run(["cat", "/proc/self/status"]).stdout.decode()
        bits = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
        assert int(bits["CapBnd"], 16) == capabilities.mask(keep)
        assert int(bits["CapEff"], 16) == capabilities.mask(keep)
        assert int(bits["CapAmb"], 16) == 0

    inside(body)


def test_ambient_capabilities_reach_a_program_of_another_uid() -> None:
    def body() -> None:
        from enclos.linux import libc

        libc.prctl(libc.PR_SET_KEEPCAPS, 1)
        os.setresuid(1234, 1234, 1234)
        capabilities.raise_ambient(["CAP_NET_BIND_SERVICE"])
        status = process.run(["grep", "CapEff", "/proc/self/status"]).stdout.split()[1]
        expected = capabilities.mask(["CAP_NET_BIND_SERVICE"])
        assert int(status, 16) == expected

    inside(body)


def test_namespaces_have_a_kind_and_other_files_have_none() -> None:
    for path, kinds in ((namespaces.path_of("uts"), {"uts"}), (Path("/etc/passwd"), set())):
        descriptor = namespaces.open_namespace(path)
        try:
            found = {kind for kind in namespaces.FLAGS if namespaces.is_kind(descriptor, kind)}
        finally:
            os.close(descriptor)
        assert found == kinds


def test_namespaces_have_identities_and_can_be_entered() -> None:
    own = namespaces.identity("uts")
    child = os.fork()
    if child == 0:
        namespaces.unshare(["uts", "network"])
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WSTOPPED)
        theirs = namespaces.identity("uts", child)
        assert theirs != own
        with namespaces.entered(namespaces.path_of("network", child), "network"):
            assert os.listdir("/proc/thread-self/net/dev_snmp6") in ([], ["lo"])
            assert namespaces.identity("network") == namespaces.identity("network", child)
        assert namespaces.identity("uts") == own
        with pytest.raises(OSError, match="setns"):
            namespaces.join(namespaces.path_of("uts", child), "network")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with pytest.raises(OSError, match=r"."):
        namespaces.identity("uts", child)


def test_a_child_is_init_of_its_own_pid_namespace() -> None:
    child = namespaces.fork_as_init()
    if child == 0:
        os._exit(0 if os.getpid() == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    other = os.fork()
    if other == 0:
        os._exit(0 if os.getpid() == other or os.getpid() > 1 else 1)
    assert os.waitpid(other, 0)[1] == 0


def test_a_child_is_forked_into_a_pid_namespace() -> None:
    reader, writer = os.pipe()
    init = namespaces.fork_as_init()
    if init == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    handle = namespaces.open_namespace(namespaces.path_of("pid", init))
    second = namespaces.fork_into_pid(handle)
    if second == 0:
        os._exit(os.getpid())
    assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 2
    os.close(writer)
    os.waitpid(init, 0)
    with pytest.raises(OSError, match=r"."):
        namespaces.fork_into_pid(handle)
    os.close(handle)


def test_an_init_that_waits_for_the_dead_of_others_has_ended() -> None:
    init = namespaces.fork_as_init()
    if init == 0:
        signal.pause()
    handle = namespaces.open_namespace(namespaces.path_of("pid", init))
    joined = namespaces.fork_into_pid(handle)
    if joined == 0:
        os._exit(0)
    os.close(handle)
    found = pid.ref(init)
    assert pidfd.kill_all([found]) == []
    assert found.alive(), "without what joined it and was not reaped it would be a zombie"
    os.waitpid(joined, 0)
    os.waitpid(init, 0)
