"""containerd's configuration with a handler `enclos` for Kubernetes in it, and without. PURE.

`ctr`, `nerdctl` and docker find the shim by its name; only the CRI plugin wants a handler in the
file. A drop-in would do harm: containerd 1.x replaces a plugin's whole section by that of an
imported file. So a marked piece is put at the end of the file, and comes out again to the byte.
"""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath
from typing import Any, Final, cast

from enclos.errors import InvalidRequest
from enclos.plan.wishes import PREFIX

HANDLER: Final = "enclos"
TYPE: Final = "io.containerd.enclos.v2"
SEARCHED: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where containerd's service looks for a shim by its name: systemd's PATH for services."""
_BEGIN: Final = (
    "# Added by `enclos setup containerd`; `enclos setup containerd --undo` removes it.\n"
)
_END: Final = "# End of what `enclos setup containerd` added."
"""The file's last newline is behind it, or is not there if it was not before."""
_DEFAULT: Final = '[{table}]\nruntime_type = "io.containerd.runc.v2"\n'
"""What is in force as long as the file lists no handler at all, and the plugin fails without."""
_BASE: Final = '{{ template "base" . }}\n'
"""What k3s has in its file without a template (since its releases of September 2023)."""
_PLUGINS: Final = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}
"""The CRI plugin's name by the version of the file's format."""


def register(text: str, program: str) -> str:
    """`text` with the handler, whose shim is `program`; raises `InvalidRequest`."""
    clean = unregister(text)
    document = _document(clean)
    version = 2 if not document else document.get("version", 1)
    if version not in _PLUGINS:
        raise InvalidRequest(
            f"its version is {version}: 2 and 3 are known",
            hint="bring it up to date first: containerd config migrate",
        )
    plugin = _PLUGINS[version]
    if HANDLER in _runtimes(document, plugin):
        raise InvalidRequest(
            f"there is a runtime {HANDLER} already, with settings of its own",
            hint="rename or remove it",
        )
    default = _DEFAULT.format(table=_table(plugin, "runc"))
    kept = "" if _runtimes(document, plugin) else default
    after = _joined(clean, _piece(plugin, program, kept, alone=not document))
    _document(after)
    return after


def register_template(text: str, program: str, *, version: int) -> str:
    """A template of k3s with the handler; without one it is k3s' own and the handler.

    Templates are Go's and no TOML before k3s has filled them in. `version` is that of the file
    they make. Raises `InvalidRequest` for a version that is not known.
    """
    clean = unregister(text)
    if version not in _PLUGINS:
        raise InvalidRequest(f"its version is {version}: 2 and 3 are known", hint="update k3s")
    if f".runtimes.{HANDLER}]" in clean:
        raise InvalidRequest(
            f"there is a runtime {HANDLER} already, with settings of its own",
            hint="rename or remove it",
        )
    base = "" if clean else _BASE
    return _joined(clean, _piece(_PLUGINS[version], program, base, alone=False))


def version_of(text: str) -> int:
    """The version of a file that k3s has made; 2 if it has made none yet."""
    document = _document(text)
    found = document.get("version", 2)
    return found if isinstance(found, int) else 0


def unregister(text: str) -> str:
    """`text` without it."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        return text
    return before + after.removeprefix("\n") if after else before.removesuffix("\n")


def _joined(clean: str, piece: str) -> str:
    return f"{clean}{piece}\n" if not clean or clean.endswith("\n") else f"{clean}\n{piece}"


def _piece(plugin: str, program: str, kept: str, *, alone: bool) -> str:
    path = PurePosixPath(program)
    kind = TYPE if str(path.parent) in SEARCHED else program
    return (
        f"{_BEGIN}"
        f"{'version = 2' + chr(10) if alone else ''}"
        f"{kept}"
        f"[{_table(plugin, HANDLER)}]\n"
        f"runtime_type = {_quoted(kind)}\n"
        "privileged_without_host_devices = true\n"
        f"pod_annotations = [{_quoted(PREFIX + '*')}]\n"
        f"{_END}"
    )


def _table(plugin: str, handler: str) -> str:
    return f"plugins.{_quoted(plugin)}.containerd.runtimes.{handler}"


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(
            f"it is not valid TOML: {error}", hint="mend it first: containerd cannot read it either"
        ) from error


def _runtimes(document: dict[str, Any], plugin: str) -> dict[str, Any]:
    found: object = document
    for name in ("plugins", plugin, "containerd", "runtimes"):
        if not isinstance(found, dict):
            raise InvalidRequest(f"its {name} is in no table", hint="see containerd-config.toml(5)")
        found = cast("dict[str, object]", found).get(name, {})
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
