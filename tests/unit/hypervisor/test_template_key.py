"""A template's key depends on everything its files depend on, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

from enclos.hypervisor.qemu import template
from enclos.hypervisor.qemu.argv import Board

BOARD = Board("tcg", 256 << 20, 8 << 30, 4)


def test_equal_inputs_give_equal_keys() -> None:
    assert template.key_of(BOARD, "a", "cpu") == template.key_of(BOARD, "a", "cpu")


def test_each_part_of_the_board_counts() -> None:
    boards = [
        BOARD,
        replace(BOARD, accelerator="kvm"),
        replace(BOARD, base_memory_bytes=512 << 20),
        replace(BOARD, hotplug_memory_bytes=16 << 30),
        replace(BOARD, vcpus=8),
        replace(BOARD, spare_vcpus=4),
        replace(BOARD, extra_command_line="debug"),
    ]
    assert len({template.key_of(board, "a", "cpu") for board in boards}) == len(boards)


def test_other_assets_are_another_template() -> None:
    assert template.key_of(BOARD, "a", "cpu") != template.key_of(BOARD, "b", "cpu")


def test_the_host_cpu_counts_only_under_kvm() -> None:
    kvm = replace(BOARD, accelerator="kvm")
    assert template.key_of(BOARD, "a", "one") == template.key_of(BOARD, "a", "two")
    assert template.key_of(kvm, "a", "one") != template.key_of(kvm, "a", "two")
