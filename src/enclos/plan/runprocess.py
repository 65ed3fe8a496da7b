"""Arguments, variables and working directory of a container's program. PURE."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan.flagtext import bad, check_text
from enclos.plan.imageconfig import ImageConfig
from enclos.plan.runoptions import RunOptions, TextFile

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def arguments(image: ImageConfig, options: RunOptions) -> tuple[str, ...]:
    """The program and its arguments: entry point, then command, as docker merges them.

    An entry point of one's own takes the image's command out of force. Raises
    `InvalidRequest` if nothing is left to run.
    """
    if options.entrypoint is None:
        whole = (*image.entrypoint, *(options.command or image.cmd))
    else:
        whole = (*options.entrypoint, *options.command)
    if not whole:
        raise InvalidRequest("no command specified", hint="say what to run after the image's name")
    for argument in whole:
        check_text("entrypoint", argument)
    return whole


def environment(
    image: ImageConfig,
    options: RunOptions,
    *,
    hostname: str,
    home: str,
    caller: Mapping[str, str],
) -> tuple[str, ...]:
    """Variables in docker's order: its own, image, files, flags; the last of a name counts."""
    found = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if options.tty:
        found["TERM"] = "xterm"
    found |= _split(image.env)
    lines = [line for file in options.env_files for line in _file_lines(file)]
    for text in (*lines, *options.env):
        _set(found, text, caller)
    found.setdefault("HOME", home)
    return tuple(f"{name}={value}" for name, value in found.items())


def working_directory(image: ImageConfig, options: RunOptions) -> str:
    """Where the program starts; raises `InvalidRequest` for a relative path."""
    if options.workdir and not options.workdir.startswith("/"):
        raise InvalidRequest(
            f"the working directory {options.workdir[:200]!r} is invalid: "
            "it needs to be an absolute path",
            hint="write it from the root of the container",
        )
    chosen = options.workdir or image.working_dir or "/"
    return posixpath.normpath(posixpath.join("/", check_text("workdir", chosen)))


def _split(texts: Iterable[str]) -> dict[str, str]:
    pairs = (text.partition("=") for text in texts)
    return {name: value for name, equals, value in pairs if name and equals}


def _set(found: dict[str, str], text: str, caller: Mapping[str, str]) -> None:
    """Apply one `NAME=VALUE`, or `NAME` for the caller's value, if the caller has one."""
    name, equals, value = check_text("env", text).partition("=")
    if not name:
        raise bad("env", text, "it has no name")
    if equals:
        found[name] = value
    elif name in caller:
        found[name] = caller[name]
    else:
        found.pop(name, None)


def _file_lines(file: TextFile) -> Iterator[str]:
    """Lines of an --env-file that are not empty and no comments."""
    for number, raw in enumerate(file.text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.lstrip().rstrip("\r")
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0]
        if not name or name != "".join(name.split()):
            raise InvalidRequest(
                f"env file {file.path}: line {number}: invalid name {name[:80]!r}",
                hint="write NAME=VALUE without spaces in the name",
            )
        yield line
