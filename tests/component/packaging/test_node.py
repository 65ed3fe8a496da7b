"""The installer's script on a node: a root directory with this system's programs below /usr.

What `remove` leaves is compared with what was there before, byte by byte. The assets are a
manifest that names no files; the programs are real.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from enclos.assets import agent, store
from enclos.linux import mount
from enclos.wire import codec
from tests.support.apart import apart

TREE: Final = Path(__file__).resolve().parents[3]
SCRIPTS: Final = TREE / "packaging/kubernetes"
CONFIGURATION: Final = "version = 2\n# of the node's admin, without a newline at its end"
SYSTEMCTL: Final = '#!/bin/sh -e\nunshare --user true\necho "$@" >>/tmp/systemctl\n'
"""It finds itself where programs can do what they can on a node: in no chroot."""
LINKS: Final = ("bin", "lib", "lib64", "sbin")
FOREIGN: Final = ("proc", "sys", "dev")
LIMIT_S: Final = 120


@dataclass
class Node:
    """A node, and how the script is called on it."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, verb: str, **more: str) -> str:
        """What the script says; it must succeed."""
        done = self.call(verb, **more)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def refused(self, verb: str, **more: str) -> str:
        """What the script says; it must fail, by a word of its own."""
        done = self.call(verb, **more)
        assert done.returncode == 1, done.stderr
        assert "node.sh: " in done.stderr
        return done.stderr.partition("node.sh: ")[2]

    def call(self, verb: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(verb), env=self.environment(more), capture_output=True, text=True
        )

    def words(self, verb: str) -> list[str]:
        return [os.fspath(SCRIPTS / "node.sh"), verb]

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.variables, **more}

    def restarts(self) -> list[str]:
        """The units that were restarted."""
        try:
            lines = (self.root / "tmp/systemctl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.removeprefix("restart ") for line in lines if line.startswith("restart")]

    def content(self) -> dict[str, tuple[int, int, int, bytes]]:
        """All that is on it: mode, owner, and what is in a file or link."""
        return {
            path.relative_to(self.root).as_posix(): _described(path)
            for path in _walk(self.root, self.root)
        }


def _walk(root: Path, place: Path) -> Iterator[Path]:
    for path in sorted(place.iterdir()):
        name = path.relative_to(root).as_posix()
        if name in FOREIGN or name == "tmp" or (place == root / "usr" and name != "usr/local"):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(root, path)


def _described(path: Path) -> tuple[int, int, int, bytes]:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        what = os.readlink(path).encode()
    else:
        what = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
    return found.st_mode, found.st_uid, found.st_gid, what


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs as `make install` puts them into an image."""
    place = tmp_path_factory.mktemp("image")
    install = TREE / "packaging/install.sh"
    subprocess.run([install, place, "/usr/local"], check=True, capture_output=True)
    _write_assets(place, store.FORMAT)
    return place


@pytest.fixture(scope="module")
def payload(made: Path) -> Path:
    return _pack(made, made / "payload.tar")


def _write_assets(root: Path, number: int) -> None:
    files = ("enclos/errors.py",)
    version = agent.version(files, root / "usr/local/lib/enclos")
    manifest = store.Manifest(number, "k" * 8, "p" * 8, version, files, "6.12", "10.0", {})
    place = root / "var/lib/enclos/assets"
    shutil.rmtree(place, ignore_errors=True)
    (place / manifest.key).mkdir(parents=True)
    (place / manifest.key / store.MANIFEST).write_bytes(codec.encode(manifest))
    (place / store.CURRENT).symlink_to(manifest.key)


def _pack(root: Path, archive: Path) -> Path:
    subprocess.run([SCRIPTS / "payload.sh", root, archive], check=True)
    return archive


@pytest.fixture
def node(tmp_path: Path, payload: Path) -> Node:
    """A node with containerd; its kernel trees are mounted by `on`."""
    root = tmp_path / "node"
    for name in ("usr", "etc/containerd", "var/lib", "run", "tmp", *FOREIGN):
        (root / name).mkdir(parents=True)
    for name in LINKS:
        (root / name).symlink_to(f"usr/{name}")
    (tmp_path / "local/bin").mkdir(parents=True)
    systemctl = tmp_path / "local/bin/systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    (root / "etc/containerd/config.toml").write_text(CONFIGURATION)
    (root / "etc/enclos").mkdir()
    (root / "etc/enclos/config.toml").write_text('accelerator = "tcg"\n')
    variables = {
        "NODE": os.fspath(root),
        "PAYLOAD": os.fspath(payload),
        "READY": os.fspath(tmp_path / "ready"),
        "WAIT_S": "0",
    }
    return Node(root, variables)


def _mount(node: Node) -> None:
    """In the child of `apart`: the node's programs and kernel trees."""
    for name in ("usr", *FOREIGN):
        mount.bind(Path("/", name), node.root / name, recursive=name != "usr")
    mount.bind(node.root.parent / "local", node.root / "usr/local")


def _configuration(node: Node) -> str:
    return (node.root / "etc/containerd/config.toml").read_text()


def test_twice_and_undone_to_the_byte(node: Node) -> None:
    def story() -> None:
        _mount(node)
        before = node.content()
        assert "installed" in node("install")
        assert node.restarts() == ["containerd"]
        there = node.content()
        for name in ("bin/enclos", "bin/containerd-shim-enclos-v2", "lib/enclos/enclos/errors.py"):
            assert f"usr/local/{name}" in there
        assert _configuration(node).startswith(CONFIGURATION)
        assert 'runtime_type = "io.containerd.enclos.v2"' in _configuration(node)
        assert os.readlink(node.root / "var/lib/enclos/assets/current") == "k" * 8
        assert "are there" in node("install")
        assert (node.content(), node.restarts()) == (there, ["containerd"])
        assert "removed" in node("remove")
        assert node.content() == before
        assert node.restarts() == ["containerd"] * 2
        assert "nothing is on the node" in node("remove")

    apart(story)


def test_what_python_compiles_is_the_node_s(node: Node) -> None:
    def story() -> None:
        _mount(node)
        node("install")
        tree = node.root / "usr/local/lib/enclos"
        sources = set(tree.rglob("*.py"))
        (compiled,) = (tree / "enclos/__pycache__").glob("errors.*.pyc")
        assert b"/usr/local/lib/enclos/enclos/errors.py" in compiled.read_bytes()
        assert len(list(tree.rglob("*.pyc"))) == len(sources)

    apart(story)


def test_a_node_with_k3s_and_nothing_else(node: Node) -> None:
    shutil.rmtree(node.root / "etc/containerd")
    node.variables["ENGINE"] = "k3s"

    def story() -> None:
        _mount(node)
        before = node.content()
        node("install", ALLOWED_ANNOTATIONS="memory vcpus")
        template = "var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl"
        assert "runtimes.enclos" in (node.root / template).read_text()
        settings = node.root / "etc/enclos/config.d/90-kubernetes.toml"
        assert settings.read_text() == 'allowed_annotations = "memory vcpus"\n'
        assert node.restarts() == ["k3s"]
        node("install")
        assert not settings.exists()
        node("remove")
        assert node.content() == before

    apart(story)


def test_what_is_not_ours_stays(node: Node) -> None:
    def story() -> None:
        _mount(node)
        node("install")
        (node.root / "var/lib/enclos/images").mkdir()
        (node.root / "etc/containerd/conf.d").mkdir()
        said = node("remove")
        assert "kept, as it is not empty: /var/lib/enclos" in said
        assert [path.name for path in (node.root / "var/lib/enclos").iterdir()] == ["images"]
        assert (node.root / "etc/containerd/conf.d").is_dir()
        assert _configuration(node) == CONFIGURATION

    apart(story)


def test_running_machines_keep_their_programs(node: Node, made: Path, tmp_path: Path) -> None:
    changed = made / "usr/local/lib/enclos/enclos/version.py"
    old = changed.read_text()
    changed.write_text(old + "# changed\n")
    newer = _pack(made, tmp_path / "newer.tar")
    changed.write_text(old)

    def story() -> None:
        _mount(node)
        before = node.content()
        node("install")
        machine = node.root / "run/enclos/shim/0-k8s.io/sandboxes/m"
        machine.mkdir(parents=True)
        assert node.refused("install", PAYLOAD=os.fspath(newer)).startswith("1 machines run")
        assert node.refused("remove").startswith("1 machines run")
        assert _configuration(node) == CONFIGURATION
        assert (node.root / "usr/local/bin/enclos").exists()
        assert "are there" in node("install"), "the same programs can serve again"
        shutil.rmtree(node.root / "run/enclos")
        assert "unpacking" in node("install", PAYLOAD=os.fspath(newer))
        on_node = node.root / changed.relative_to(made)
        assert on_node.read_text().endswith("# changed\n")
        node("remove")
        assert node.content() == before

    apart(story)


def test_serve_ends_with_nothing_left(node: Node, tmp_path: Path) -> None:
    def story() -> None:
        _mount(node)
        before = node.content()
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen(
                node.words("serve"), env=node.environment({}), stderr=log, start_new_session=True
            )
        limit = time.monotonic() + LIMIT_S
        while not (tmp_path / "ready").exists():
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < limit
            time.sleep(0.1)
        assert "runtimes.enclos" in _configuration(node)
        server.send_signal(signal.SIGTERM)
        assert server.wait(LIMIT_S) == 0, (tmp_path / "log").read_text()
        assert not (tmp_path / "ready").exists()
        assert node.content() == before
        with pytest.raises(ProcessLookupError):
            os.killpg(server.pid, 0)

    apart(story)


def test_a_node_that_cannot_run_machines_is_not_set_up(node: Node, made: Path) -> None:
    _write_assets(made, store.FORMAT + 1)
    other = _pack(made, node.root.parent / "other.tar")
    _write_assets(made, store.FORMAT)

    def story() -> None:
        _mount(node)
        before = node.content()
        said = node.refused("install", PAYLOAD=os.fspath(other))
        assert said.startswith("the node lacks what is said above")
        assert _configuration(node) == CONFIGURATION
        node("remove")
        assert node.content() == before

    apart(story)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ENGINE": "crio"}, "ENGINE is crio"),
        ({"ALLOWED_ANNOTATIONS": 'memory"'}, 'ALLOWED_ANNOTATIONS is memory"'),
        ({"PAYLOAD": "/no/such"}, "there is no archive /no/such"),
        ({"NODE": "/no/such"}, "there is no node in /no/such"),
    ],
)
def test_bad_calls_are_refused_by_name(node: Node, variables: dict[str, str], words: str) -> None:
    before = node.content()
    assert node.refused("install", **variables).startswith(words)
    assert node.content() == before


def test_another_installation_is_left_alone(node: Node) -> None:
    def story() -> None:
        _mount(node)
        (node.root / "usr/local/bin/enclos").write_text("#!/bin/sh\n")
        before = node.content()
        assert "by other means" in node.refused("install")
        assert node.content() == before

    apart(story)


def test_a_node_without_python_is_named(node: Node) -> None:
    assert "no Python 3.11" in node.refused("install")
