"""Names and bits."""

from __future__ import annotations

import pytest

from enclos.linux import capabilities


def test_names_and_bits_are_each_others_inverse() -> None:
    chosen = frozenset({"CAP_CHOWN", "CAP_SETFCAP", "CAP_CHECKPOINT_RESTORE"})
    assert capabilities.names(capabilities.mask(chosen)) == chosen
    assert capabilities.mask(["CAP_CHOWN", "CAP_CHOWN"]) == 1


@pytest.mark.parametrize(
    ("name", "number"),
    [("CAP_CHOWN", 0), ("CAP_SYS_ADMIN", 21), ("CAP_MKNOD", 27), ("CAP_CHECKPOINT_RESTORE", 40)],
)
def test_numbers_are_the_kernels(name: str, number: int) -> None:
    assert capabilities.NUMBERS[name] == number


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        capabilities.mask(["CAP_FLY"])
