"""Images by every way in: fetched, listed, run as their configuration says, removed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import bundles, imagelayouts
from tests.support.cli import Programs

SCRIPT = '#!/bin/sh\necho entry: "$@"\necho $COLOUR; pwd; id -u; exec "$@"\n'
CONFIG = {
    "Entrypoint": ["/entry"],
    "Cmd": ["echo", "default"],
    "Env": ["PATH=/bin", "COLOUR=green"],
    "WorkingDir": "/work",
    "User": "7:8",
    "Labels": {"kind": "made"},
    "StopSignal": "SIGUSR1",
}


def busybox_layer() -> bytes:
    """Busybox, a shell by that name, and an entry point."""
    program = imagelayouts.member("bin/busybox", mode=0o755)
    entry = imagelayouts.member("entry", mode=0o755)
    links = [imagelayouts.symlink(f"bin/{name}", "busybox") for name in bundles.APPLETS]
    return imagelayouts.archive(
        imagelayouts.directory("bin"),
        (program, bundles.busybox().read_bytes()),
        (entry, SCRIPT.encode()),
        *links,
    )


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with a configuration that shows."""
    place = tmp_path_factory.mktemp("image") / "layout"
    return imagelayouts.write(place, [busybox_layer()], tag="v1", config=CONFIG)


@pytest.fixture(scope="module", params=["oci", "oci-archive", "docker-archive"])
def image(request: pytest.FixtureRequest, programs: Programs, layout: Path) -> Iterator[str]:
    """The image as a reference of each kind."""
    reference = f"oci:{layout}:v1"
    if request.param != "oci":
        archive = layout.parent / f"{request.param}.tar"
        target = f"{request.param}:{archive}:local/name:v1"
        subprocess.run(
            ["skopeo", "copy", "-q", "--insecure-policy", reference, target],
            check=True,
            timeout=60,
        )
        reference = f"{request.param}:{archive}"
    yield reference
    programs.ok("rmi", "-f", reference)


def test_it_runs_as_its_configuration_says(programs: Programs, image: str) -> None:
    out = programs.ok("run", "-q", "--rm", image)
    assert out.split("\n") == ["entry: echo default", "green", "/work", "7", "default", ""]


def test_it_is_listed(programs: Programs, image: str) -> None:
    rows = [json.loads(line) for line in programs.ok("images", "--format", "json").splitlines()]
    path = image.partition(":")[2].removesuffix(":v1")
    (row,) = [row for row in rows if path in row["Repository"]]
    assert row["ID"] in programs.ok("images", "-q").split()
    (found,) = json.loads(programs.ok("inspect", "--type", "image", image))
    assert found["Config"]["Env"] == CONFIG["Env"]
    assert found["Architecture"]


def test_pull_says_what_it_fetched(programs: Programs, image: str) -> None:
    assert programs.ok("pull", "-q", image).strip()


def test_flags_overrule_the_configuration(programs: Programs, layout: Path) -> None:
    reference = f"oci:{layout}:v1"
    script = "echo $COLOUR; pwd; id -u; id -g"
    out = programs.ok(
        "run", "-q", "--rm", "--entrypoint", "/bin/sh", "-e", "COLOUR=red", "-w", "/", "-u", "0:0",
        reference, "-c", script,
    )  # fmt: skip
    assert out.split() == ["red", "/", "0", "0"]
    programs.ok("rmi", reference)


def test_an_image_in_use_stays(programs: Programs, layout: Path) -> None:
    reference = f"oci:{layout}:v1"
    made = programs.ok("create", "-q", reference).strip()
    answer = programs.enclos("rmi", reference)
    assert answer.code == 125
    assert "used by a container" in answer.err
    programs.ok("rm", made)
    programs.ok("rmi", reference)
    assert programs.enclos("rmi", reference).code == 125


def test_a_changed_layout_is_run_as_it_is_now(programs: Programs, tmp_path: Path) -> None:
    place = tmp_path / "layout"
    for colour in ("one", "two"):
        config = {**CONFIG, "Env": ["PATH=/bin", f"COLOUR={colour}"]}
        imagelayouts.write(place, [busybox_layer()], config=config)
        out = programs.ok("run", "-q", "--rm", f"oci:{place}:latest", "true")
        assert out.split("\n")[1] == colour
    programs.ok("rmi", f"oci:{place}:latest")
