from __future__ import annotations

import pytest

from enclos.tools.skopeo import Cause, failure

FATAL = 'time="2026-01-01T00:00:00Z" level=fatal msg="{}"'


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("reading manifest x in docker.io/library/alpine: manifest unknown", Cause.UNKNOWN),
        ("initializing source oci:lay:nope: no descriptor found for reference", Cause.UNKNOWN),
        ("open nolay/index.json: no such file or directory", Cause.UNKNOWN),
        ("initializing source oci:lay:: more than one image in oci, choose an image",
         Cause.UNKNOWN),
        ("open lay/blobs/sha256/00: no such file or directory", Cause.DAMAGED),
        ("writing blob: happened during read: Digest did not match, expected a, got b",
         Cause.DAMAGED),
        ("Download config.json digest a does not match expected b", Cause.DAMAGED),
        ("loading tar component manifest.json: archive/tar: invalid tar header", Cause.DAMAGED),
        ("no image found in manifest list for architecture amd64", Cause.PLATFORM),
        ("no image found in image index for architecture amd64", Cause.PLATFORM),
        ("writing blob: write /x: no space left on device", Cause.DISK),
        ("requested access to the resource is denied", Cause.DENIED),
        ("unable to retrieve auth token: invalid username/password: unauthorized", Cause.DENIED),
        ("pinging container registry x: dial tcp: lookup x: no such host", Cause.NETWORK),
        ("Get https://x/v2/: net/http: TLS handshake timeout", Cause.NETWORK),
        ("open /etc/containers/policy.json: permission problem", Cause.POLICY),
        ("something else", Cause.OTHER),
    ],
)  # fmt: skip
def test_causes(message: str, cause: Cause) -> None:
    found = failure(FATAL.format(message))
    assert (found.cause, found.message) == (cause, message)


def test_messages_are_one_line_and_unquoted() -> None:
    assert failure(FATAL.format(r"Get \"https://x\": a\nb")).message == 'Get "https://x": a b'
    assert failure("it ended with status -9").message == "it ended with status -9"
    assert len(failure("x" * 10_000).message) == 600
