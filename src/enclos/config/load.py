"""Reads the settings: defaults, /etc/enclos/config.toml, config.d/*.toml, the environment.

The only file that reads the environment. Later places override earlier ones. `state_root` is
for the fast verbs and imports nothing but `os`; the TOML reader is imported only where there
is a file.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from enclos.config.settings import Settings

DIRECTORY: Final = "/etc/enclos"
DEFAULT_STATE_ROOT: Final = "/run/enclos"
_PREFIX: Final = "ENCLOS_"
_OTHERS: Final = "ENCLOS_TEST_"
"""Variables that begin so are the tests' own and no settings."""
_DIRECTORY_VARIABLE: Final = "ENCLOS_CONFIG_DIRECTORY"
_MAX_FILE_BYTES: Final = 1 << 20


def settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; raises `InvalidRequest` naming file or variable and key."""
    from enclos.config import parse
    from enclos.config.settings import DEFAULTS

    found = DEFAULTS
    for path in files(environment):
        found = parse.settings(_toml(path), path, base=found)
    for variable_name, value in _variables(environment).items():
        name = variable_name.removeprefix(_PREFIX).lower()
        found = parse.settings({name: value}, f"variable {variable_name}", base=found)
    return found


def settings_from(path: str, base: Settings) -> Settings:
    """`base` with what one more file of settings says; raises `InvalidRequest`."""
    from enclos.config import parse

    return parse.settings(_toml(path), path, base=base)


def state_root(environment: Mapping[str, str] = os.environ) -> str:
    """The state root alone; the files are parsed only if one of them has the word."""
    direct = environment.get("ENCLOS_STATE_ROOT", "")
    if direct.startswith("/"):
        return direct
    if any(b"state_root" in _read(path) for path in files(environment)):
        return os.fspath(settings(environment).state_root)
    return DEFAULT_STATE_ROOT


def files(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The configuration files that exist, in the order in which they are read."""
    place = environment.get(_DIRECTORY_VARIABLE, DIRECTORY)
    found = [f"{place}/config.toml"] if os.path.lexists(f"{place}/config.toml") else []
    try:
        pieces = sorted(os.listdir(f"{place}/config.d"))
    except (FileNotFoundError, NotADirectoryError):
        return found
    return found + [f"{place}/config.d/{name}" for name in pieces if name.endswith(".toml")]


def variable(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """A variable that is not ours (NO_COLOR, HOME, …); empty if it is not set."""
    return environment.get(name, "")


def inherited(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A copy of the whole environment, to be handed on."""
    return dict(environment)


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and not name.startswith(_OTHERS) and name != _DIRECTORY_VARIABLE
    }


def _read(path: str) -> bytes:
    """The beginning of a file; more than _MAX_FILE_BYTES is refused by `_toml`."""
    from enclos.errors import InvalidRequest

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InvalidRequest(f"cannot read the configuration: {error}") from error


def _toml(path: str) -> dict[str, object]:
    import tomllib

    from enclos.errors import InvalidRequest

    data = _read(path)
    if len(data) > _MAX_FILE_BYTES:
        raise InvalidRequest(f"{path} is larger than {_MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} is not TOML: {error}") from error
