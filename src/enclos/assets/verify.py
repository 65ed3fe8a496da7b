"""Tells which files of the assets are damaged: quickly at every start, or by reading all."""

from __future__ import annotations

from enclos.assets import contents, store


def quick(assets: store.Assets) -> list[str]:
    """Names of files that are gone or differ in mode, size or time; reads no contents."""
    place = assets.path.parent
    return [
        name
        for name, record in assets.manifest.files.items()
        if contents.looks_damaged(place / name, record)
    ]


def verify(assets: store.Assets) -> list[str]:
    """Names of files that are gone or whose SHA-256 is not the recorded one; reads everything."""
    from enclos.assets import parts
    from enclos.wire import codec

    place = assets.path.parent
    directory = store.part_directory(place, assets.manifest.part)
    prefix = directory.relative_to(place).as_posix()
    files = dict(assets.manifest.files)
    try:
        part = parts.read(directory)
        files.update({f"{prefix}/{name}": record for name, record in part.files.items()})
        damaged: list[str] = []
    except (OSError, codec.CodecError):
        damaged = [f"{prefix}/contents.json"]
    damaged += [name for name in files if contents.is_damaged(place / name, files[name])]
    return sorted(damaged)
