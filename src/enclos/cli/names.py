"""Names for containers nobody has named: an adjective and something from a workshop."""

from __future__ import annotations

import os
from typing import Final

_ADJECTIVES: Final = (
    "able amber apt bold brave brief bright brisk calm candid clear clever cosy crisp deft eager "
    "early easy fair fine firm fond frank fresh gentle glad golden good grand happy hardy honest "
    "keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble patient plain "
    "polite prompt proud quick quiet ready regal robust round sharp silent simple sleek smart "
    "smooth snug sober solid sound spry stable steady sterling stout sturdy sunny swift tender "
    "thrifty tidy tranquil trim true trusty upright vivid warm wise witty"
).split()
_NOUNS: Final = (
    "adze anvil apron auger awl axle barrel basket beam bellows bench bevel bobbin bolt brace "
    "bracket broom brush bucket caliper cart chain chisel clamp clock compass cooper crane crate "
    "dowel drill easel file flask forge gauge gimlet gouge hammer handle hinge hoist jig joist "
    "kettle kiln ladder ladle lantern lathe lever lock loom mallet mason mill mortar needle pail "
    "pestle pincers planer plumb pulley punch rasp ratchet rivet rope router ruler saddle saw "
    "scale screw shears shovel sickle sieve spade spanner spindle square stool tack thimble tongs "
    "trestle trowel vice wedge weaver wheel winch wrench"
).split()


def suggest() -> str:
    """One of some thousands, at random."""
    first, second = os.urandom(2), os.urandom(2)
    adjective = _ADJECTIVES[int.from_bytes(first, "big") % len(_ADJECTIVES)]
    return f"{adjective}_{_NOUNS[int.from_bytes(second, 'big') % len(_NOUNS)]}"
