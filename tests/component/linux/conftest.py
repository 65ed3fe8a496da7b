"""Fixtures of the kernel wrappers' tests."""

from __future__ import annotations

from tests.support.fixtures import leak_check, leak_scope

__all__ = ["leak_check", "leak_scope"]
