"""Hooks of the runtime's own namespace: programs of the host, the state on their stdin.

Order and moments are the runtime specification's ("Lifecycle"); a hook that fails before the
program starts makes the operation fail, `poststart` and `poststop` are only logged.
"""

from __future__ import annotations

import json
import os
from typing import Final

from enclos import log
from enclos.errors import EnclosError, InvalidRequest, MachineFailed
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
    for kind in kinds:
        for hook in named[kind]:
            _run(kind, hook, state)


def run_logged(spec: Spec, kind: str, record: ContainerRecord, *, status: str) -> None:
    """Run the hooks of one kind; failures are logged, as the specification asks."""
    try:
        run(spec, (kind,), record, status=status)
    except EnclosError as error:
        log.warning("hook failed", kind=kind, error=error)


def _run(kind: str, hook: Hook, state: bytes) -> None:
    """`args` begins with the name the program is to find as its own, which need not be its path:
    dockerd's hook is /proc/PID/exe, called `libnetwork-setkey`."""
    if not os.path.isabs(hook.path):
        raise InvalidRequest(f"{kind} hook {hook.path!r} is not an absolute path")
    arguments = [hook.path, *hook.args[1:]]
    environment: dict[str, str] = {}
    for pair in hook.env:
        name, _, value = pair.partition("=")
        environment[name] = value
    try:
        process.run(
            arguments,
            input_bytes=state,
            env=environment,
            timeout_s=hook.timeout or DEFAULT_TIMEOUT_S,
            name=hook.args[0] if hook.args else "",
        )
    except (EnclosError, OSError) as error:
        raise MachineFailed(f"{kind} hook {hook.path} failed: {error}") from error
