"""Takes Debian's bzImage apart: the uncompressed ELF kernel inside it, with its PVH entry point.

QEMU starts such a kernel without the decompressor, which under emulation halves the boot.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit
from enclos.linux import process

_SETUP_MAGIC: Final = 0x202
_SETUP_SECTORS: Final = 0x1F1
_PAYLOAD: Final = 0x248
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PVH_NOTE: Final = struct.pack("<III4s", 4, 8, 18, b"Xen\0")
"""Header of the ELF note XEN_ELFNOTE_PHYS32_ENTRY with an 8 byte description."""
_HINT: Final = "report this kernel package; until then configure another suite"


def release(modules_root: Path) -> str:
    """The kernel release: the one directory below `modules_root` (lib/modules)."""
    found = sorted(path.name for path in modules_root.iterdir() if path.is_dir())
    if len(found) != 1:
        raise HostUnfit(
            f"expected one kernel in {modules_root}, found {found}",
            hint="remove the cached parts and run: enclos assets build",
        )
    return found[0]


def unpack(bzimage: bytes) -> bytes:
    """The ELF kernel inside `bzimage`; raises `HostUnfit` if it cannot be started by PVH."""
    kernel = _decompress(_payload(bzimage))
    if not kernel.startswith(b"\x7fELF") or _PVH_NOTE not in kernel:
        raise HostUnfit("the kernel inside the bzImage has no PVH entry point", hint=_HINT)
    return kernel


def _payload(bzimage: bytes) -> bytes:
    """The compressed kernel, by the boot protocol's header (2.08 and later)."""
    if bzimage[_SETUP_MAGIC : _SETUP_MAGIC + 4] != b"HdrS":
        raise HostUnfit("the kernel is not a bzImage", hint=_HINT)
    offset, length = struct.unpack_from("<II", bzimage, _PAYLOAD)
    start = (bzimage[_SETUP_SECTORS] + 1) * 512 + offset
    return bzimage[start : start + length]


def _decompress(payload: bytes) -> bytes:
    if not payload.startswith(_ZSTD_MAGIC):
        raise HostUnfit("the kernel is not compressed by zstd", hint=_HINT)
    # The last four bytes are the size of the result, appended by the kernel's build.
    (size,) = struct.unpack("<I", payload[-4:])
    kernel = process.run(["zstd", "-dcq"], input_bytes=payload[:-4]).stdout
    if len(kernel) != size:
        raise HostUnfit(f"the kernel unpacked to {len(kernel)} bytes, not {size}", hint=_HINT)
    return kernel
