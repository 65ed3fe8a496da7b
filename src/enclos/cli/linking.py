"""Containers that link to another one: told of its addresses whenever it is started anew.

As docker does. What a stopped one had stays in their hosts files, and in what is noted of links.
"""

from __future__ import annotations

from collections.abc import Iterator

from enclos.cli import complain, connecting, lookup, memberships
from enclos.cli.home import Home
from enclos.errors import EnclosError
from enclos.state.definitions import Definition


def tell(home: Home, container_id: str) -> None:
    """Let those that run know the addresses that the container has now."""
    for definition in _followers(home, container_id):
        try:
            memberships.note_links_again(home, definition)
            connecting.rewrite(home, definition)
        except FileNotFoundError:
            continue  # it has just been removed
        except (EnclosError, OSError) as error:  # the one that starts is not to suffer for it
            complain.complain(error)


def _followers(home: Home, container_id: str) -> Iterator[Definition]:
    """Running containers that link to it."""
    for one in lookup.everything(home):
        links = one.definition.network.links if one.definition is not None else ()
        if one.running and any(text.partition(":")[0] == container_id for text in links):
            yield one.defined()
