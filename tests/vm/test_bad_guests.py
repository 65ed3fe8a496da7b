"""Guests that do not come up: what their console said last, or which deadline they missed."""

from __future__ import annotations

import pytest

from tests.support.badguests import PANIC, SILENT
from tests.support.cli import Programs
from tests.support.complaints import complains_at_length

RUN = ("run", "--rm", "enclos/demo", "true")


def with_settings(programs: Programs, **settings: str) -> Programs:
    """The programs with further settings."""
    named = {f"ENCLOS_{name.upper()}": value for name, value in settings.items()}
    return Programs(programs.state_root, programs.data_root, {**programs.settings, **named})


@pytest.mark.parametrize("template", ["true", "false"])
def test_a_kernel_that_panics_shows_its_last_words(programs: Programs, template: str) -> None:
    broken = with_settings(programs, kernel_arguments=PANIC, template=template)
    complains_at_length(broken.enclos(*RUN), "Kernel panic - not syncing", "assets verify")


@pytest.mark.parametrize("template", ["true", "false"])
def test_an_agent_that_never_answers_misses_a_deadline(programs: Programs, template: str) -> None:
    broken = with_settings(programs, kernel_arguments=SILENT, boot_timeout_s="5", template=template)
    answer = broken.enclos(*RUN)
    complains_at_length(answer, "did not answer hello in 5 s", "boot_timeout_s")


def test_a_guest_that_is_too_slow_afterwards(programs: Programs) -> None:
    broken = with_settings(programs, agent_timeout_s="0.001")
    complains_at_length(broken.enclos(*RUN), "did not answer", "agent_timeout_s")
