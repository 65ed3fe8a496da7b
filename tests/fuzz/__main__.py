"""`python -m tests.fuzz SECONDS`: fuzz the protocol's decoders and both of its ends.

The seconds are shared by all targets. `--seed N --rounds 1 --target T` repeats a finding.
"""

from __future__ import annotations

import argparse
import random
import sys

from tests.fuzz.campaign import rounds
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run the campaign; a finding ends it with its traceback."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**48))
    parser.add_argument("--rounds", type=int, default=10**9)
    options = parser.parse_args()
    chosen = options.target or sorted(TARGETS)
    for name in chosen:
        share = options.seconds / len(chosen)
        count = rounds(TARGETS[name], share, seed=options.seed, limit=options.rounds)
        sys.stdout.write(f"{name}: {count} rounds from seed {options.seed}, no finding\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
