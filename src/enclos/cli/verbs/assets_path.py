"""`assets path`: where the assets in force are."""

from __future__ import annotations

import os

from enclos.assets import store
from enclos.assets.store import Assets
from enclos.cli import gotemplate, output
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed


def run(asked: Parsed) -> int:
    """Print the directory, or everything about it."""
    assets = store.load(open_home().data_root)
    how = asked.text("format")
    if not how:
        output.write(f"{assets.path}\n")
    elif how == "json":
        output.write(output.json_line(_described(assets)) + "\n")
    else:
        output.write(gotemplate.parse(how).render(_described(assets)) + "\n")
    return 0


def _described(assets: Assets) -> dict[str, object]:
    return {
        "Key": assets.key,
        "Path": os.fspath(assets.path),
        "ToolRoot": os.fspath(assets.tool_root),
        "Kernel": os.fspath(assets.vmlinux),
        "Initrd": os.fspath(assets.initrd),
        "DemoImage": os.fspath(assets.demo_image),
        "KernelRelease": assets.kernel_release,
        "QemuVersion": assets.qemu_version,
        "AgentVersion": assets.agent_version,
    }
