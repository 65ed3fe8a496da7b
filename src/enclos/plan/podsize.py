"""What a whole pod may use, where its first container's annotations say so. PURE.

Kubernetes sends the sums of a pod's limits with the sandbox (since containerd 1.7), whose own
program needs next to nothing: the machine is made for what will come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from enclos.errors import InvalidRequest
from enclos.oci.resources import Cpu, Memory, Resources

_MEMORY: Final = "io.kubernetes.cri.sandbox-memory"
_QUOTA: Final = "io.kubernetes.cri.sandbox-cpu-quota"
_PERIOD: Final = "io.kubernetes.cri.sandbox-cpu-period"
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


def of_machine(annotations: Mapping[str, str], own: Resources | None) -> Resources | None:
    """The limits to size the machine by: the pod's, or the container's `own` where none are said.

    Raises `InvalidRequest` for an annotation that is no number.
    """
    memory, quota = _number(annotations, _MEMORY), _number(annotations, _QUOTA)
    if memory <= 0 and quota <= 0:
        return own
    period = _number(annotations, _PERIOD)
    return Resources(
        memory=Memory(limit=memory) if memory > 0 else None,
        cpu=Cpu(quota=quota, period=period if period > 0 else None) if quota > 0 else None,
    )


def _number(annotations: Mapping[str, str], name: str) -> int:
    """Its value; 0, as -1, for no limit."""
    text = annotations.get(name, "0")
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(
            f"config.json: annotations: {name} is no number: {text[:40]!r}",
            hint="leave it away, or give a whole number",
        )
    return int(text)
