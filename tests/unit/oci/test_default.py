from __future__ import annotations

import json

from enclos.oci import default, load
from enclos.oci.validate import validate


def test_the_default_makes_sense_and_survives() -> None:
    spec = default.default_spec()
    validate(spec)
    assert load.load_spec(load.dump_spec(spec, indent=4)) == spec
    assert spec.process is not None
    assert spec.process.terminal
    assert spec.process.args == ("sh",)


def test_the_rootless_one_maps_the_user() -> None:
    spec = default.rootless_spec(uid=1000, gid=100)
    validate(spec)
    document = json.loads(load.dump_spec(spec))
    linux = document["linux"]
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert linux["gidMappings"] == [{"containerID": 0, "hostID": 100, "size": 1}]
    assert "resources" not in linux
    kinds = {namespace["type"] for namespace in linux["namespaces"]}
    assert "user" in kinds
    assert "network" not in kinds
    assert not [o for m in document["mounts"] for o in m.get("options", ()) if "gid=" in o]
