"""What this release is called."""

from __future__ import annotations

VERSION = "0.1.0"
SPEC = "1.2.1"
"""The runtime specification it implements."""
