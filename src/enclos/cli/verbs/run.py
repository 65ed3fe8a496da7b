"""`run`: make a container, start it, and be its program as far as the caller can tell."""

from __future__ import annotations

from enclos.cli import complain, console, define, keys, launch, output, removal, session
from enclos.cli.follow import Followed, stoppable
from enclos.cli.home import Home, open_home
from enclos.cli.launch import Launch
from enclos.cli.parse import Parsed
from enclos.errors import EnclosError
from enclos.state.definitions import Definition


def run(asked: Parsed) -> int:
    """The program's exit status; with --detach 0 once it runs, its id printed."""
    detach = asked.on("detach")
    if not detach:
        console.check(tty=asked.on("tty"), interactive=asked.on("interactive"))
    detach_keys = asked.text("detach-keys", keys.DEFAULT)
    keys.parse(detach_keys)
    home = open_home()
    with stoppable():
        definition = define.define(home, asked, detach=detach)
        try:
            _announce(home, asked, definition)
            if detach:
                return _in_background(home, asked, definition)
            return _in_foreground(home, asked, definition, detach_keys=detach_keys)
        except BaseException:
            _give_up(home, definition)
            raise


def _give_up(home: Home, definition: Definition) -> None:
    """Remove what could not be run; what went wrong before is what matters."""
    try:
        removal.drop(home, definition.id)
    except (EnclosError, OSError) as error:
        complain.complain(error)


def _in_background(home: Home, asked: Parsed, definition: Definition) -> int:
    launched = launch.launch(
        home, definition, Launch(), before_start=lambda: _notice(home, asked, definition)
    )
    launched.connection.close()
    launch.stay_behind(home, definition, launched)
    output.write(f"{definition.id}\n")
    return 0


def _in_foreground(home: Home, asked: Parsed, definition: Definition, *, detach_keys: str) -> int:
    with console.opened(
        tty=definition.tty, interactive=definition.interactive, detach_keys=detach_keys
    ) as opened:
        launched = launch.launch(
            home,
            definition,
            Launch(opened, record_output=definition.log),
            before_start=lambda: _notice(home, asked, definition),
        )
        followed = Followed(
            launched.connection,
            definition.id,
            proxy=asked.on("sig-proxy", default=True),
            size=opened.size if definition.tty else None,
        )
        ended = session.stay(home, followed, opened)
    launch.finish(home, definition, launched, ended=ended is not None)
    return session.status_of(ended)


def _announce(home: Home, asked: Parsed, definition: Definition) -> None:
    """Say why the very first start on a host takes longer."""
    wanted = home.settings.template and definition.template and not asked.on("quiet")
    place = home.data_root / "templates"
    if wanted and not any(place.glob("*/manifest.json")):
        complain.say("making a template of a booted machine, once for this host")


def _notice(home: Home, asked: Parsed, definition: Definition) -> None:
    if not asked.on("quiet"):
        launch.notice_emulation(home, definition.id)
