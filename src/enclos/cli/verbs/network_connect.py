"""`network connect`: put a container into one more network."""

from __future__ import annotations

from enclos.cli import connecting, networklist
from enclos.cli.follow import stoppable
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.plan import attachments
from enclos.plan.attachments import Attachment


def run(asked: Parsed) -> int:
    """Says nothing."""
    network, container = asked.operands

    def connect() -> None:
        wanted = Attachment(
            network,
            attachments.addresses(asked.text("ip"), asked.text("ip6")),
            tuple(attachments.alias("alias", text) for text in asked.texts("alias")),
        )
        with stoppable():
            connecting.connect(open_home(), container, wanted)

    return networklist.status(connect)
