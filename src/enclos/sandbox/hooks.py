"""Hooks of the runtime's own namespace: programs of the host, the state on their stdin.

Order and moments are the runtime specification's ("Lifecycle"); a hook that fails makes the
operation fail, but `poststop`, which is only logged. As runc's, they run in the bundle, and
with our own environment if none is given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from enclos import log
from enclos.errors import EnclosError, MachineFailed
from enclos.linux import process
from enclos.oci.types import Hook, Spec
from enclos.state import records
from enclos.state.records import ContainerRecord

DEFAULT_TIMEOUT_S: Final = 600


def run(spec: Spec, kinds: tuple[str, ...], record: ContainerRecord, *, status: str) -> None:
    """Run the hooks of `kinds` in order; raises `MachineFailed` at the first that fails."""
    if spec.hooks is None:
        return
    state = json.dumps(records.oci_state(record, status=status)).encode()
    named: dict[str, tuple[Hook, ...]] = {
        "prestart": spec.hooks.prestart,
        "createRuntime": spec.hooks.create_runtime,
        "poststart": spec.hooks.poststart,
        "poststop": spec.hooks.poststop,
    }
    bundle = Path(record.bundle)
    for kind in kinds:
        for hook in named[kind]:
            _run(kind, hook, state, cwd=bundle if bundle.is_dir() else None)


def run_logged(spec: Spec, kind: str, record: ContainerRecord, *, status: str) -> None:
    """Run the hooks of one kind; failures are logged, as the specification asks."""
    try:
        run(spec, (kind,), record, status=status)
    except EnclosError as error:
        log.warning("hook failed", kind=kind, error=error)


def _run(kind: str, hook: Hook, state: bytes, *, cwd: Path | None) -> None:
    """`args` begins with the name the program is to find as its own, which need not be its path:
    dockerd's hook is /proc/PID/exe, called `libnetwork-setkey`."""
    try:
        process.run(
            [hook.path, *hook.args[1:]],
            input_bytes=state,
            cwd=cwd,
            env=_environment(hook),
            timeout_s=hook.timeout or DEFAULT_TIMEOUT_S,
            name=hook.args[0] if hook.args else "",
        )
    except (EnclosError, OSError) as error:
        raise MachineFailed(f"{kind} hook {hook.path} failed: {error}") from error


def _environment(hook: Hook) -> dict[str, str] | None:
    """None for ours."""
    pairs = (text.partition("=") for text in hook.env)
    return {name: value for name, _, value in pairs} if hook.env else None
