from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.storage.references import Transport, familiar, parse, split_name

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.19", "docker.io/library/alpine:3.19"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("docker://alpine", "docker.io/library/alpine:latest"),
        ("user/app", "docker.io/user/app:latest"),
        ("localhost/app:1", "localhost/app:1"),
        ("host:5000/x", "host:5000/x:latest"),
        ("host:5000/a/b_c/d--e:T_1.2-x", "host:5000/a/b_c/d--e:T_1.2-x"),
        (f"host:5000/x@{DIGEST}", f"host:5000/x@{DIGEST}"),
        (f"alpine:3@{DIGEST}", f"docker.io/library/alpine:3@{DIGEST}"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("enclos/demo", "enclos/demo:latest"),
        ("docker.io/enclos/demo:latest", "enclos/demo:latest"),
        ("oci:/a/b:tag", "oci:/a/b:tag"),
        ("oci:/a/b", "oci:/a/b"),
        ("oci-archive:/f.tar:localhost/x:1", "oci-archive:/f.tar:localhost/x:1"),
        ("containers-storage:localhost/x:1", "containers-storage:localhost/x:1"),
        ("docker-daemon:x:1", "docker-daemon:x:1"),
        ("dir:/a:b", "dir:/a:b"),
    ],
)
def test_names_are_normal(text: str, name: str) -> None:
    assert parse(text).name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Alpine",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a:",
        "a: b",
        "a:" + "t" * 129,
        "a@sha256:12",
        "a@md5:" + "0" * 32,
        "x" * 256,
        "host:port/x",
        "http://alpine",
        "oci:",
        "oci::tag",
        "a\0b",
        "../x",
        "a b",
        "host_x:5000/y",
        "a" * 10000,
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    assert caught.value.hint
    assert len(caught.value.message) < 500


def test_sources_are_as_skopeo_takes_them() -> None:
    assert parse("alpine:3").source == "docker://docker.io/library/alpine:3"
    assert parse(f"alpine:3@{DIGEST}").source == f"docker://docker.io/library/alpine@{DIGEST}"
    assert parse("containers-storage:x").source == "containers-storage:x"


def test_relative_paths_become_absolute() -> None:
    found = parse("oci:./layout:tag")
    assert found.transport is Transport.LAYOUT
    assert found.path == f"{os.getcwd()}/layout"
    assert found.tag == "tag"
    assert found.source == f"oci:{os.getcwd()}/layout:tag"
    assert parse("alpine").path == ""


def test_the_demo_with_a_digest_is_somebody_elses() -> None:
    assert parse(f"enclos/demo@{DIGEST}").transport is Transport.REGISTRY
    assert parse("quay.io/enclos/demo").transport is Transport.REGISTRY


def test_names_are_split_for_listings() -> None:
    assert split_name("docker.io/library/alpine:3") == ("alpine", "3")
    assert split_name("docker.io/u/a:3") == ("u/a", "3")
    assert split_name("host:5000/x:1") == ("host:5000/x", "1")
    assert split_name(f"host:5000/x@{DIGEST}") == ("host:5000/x", "<none>")
    assert split_name("oci:/a/b:tag") == ("oci:/a/b", "tag")
    assert split_name("oci:/a/b") == ("oci:/a/b", "<none>")
    assert familiar("library/x") == "library/x"


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        found = parse(text)
    except InvalidRequest:
        return
    assert parse(found.name).name == found.name or found.transport not in {
        Transport.REGISTRY,
        Transport.DEMO,
    }
