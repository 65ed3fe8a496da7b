from __future__ import annotations

import json

from enclos.oci import features, names


def test_the_document_is_what_engines_read() -> None:
    found = json.loads(features.render())
    assert found["ociVersionMin"] == "1.0.0"
    assert found["ociVersionMax"].startswith("1.")
    assert "rro" in found["mountOptions"]
    assert found["linux"]["capabilities"][21] == "CAP_SYS_ADMIN"
    assert found["linux"]["namespaces"] == sorted(names.NAMESPACES)


def test_what_is_refused_is_not_claimed() -> None:
    linux = features.document()["linux"]
    assert "SCMP_ACT_NOTIFY" not in linux["seccomp"]["actions"]
    assert linux["intelRdt"]["enabled"]
