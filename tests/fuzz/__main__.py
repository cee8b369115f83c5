"""`python -m tests.fuzz --seconds 600`: inputs of every kind for so long, and what became of them."""

from __future__ import annotations

import argparse
import resource
import sys

from .inputs import KINDS
from .trying import try_inputs

parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
parser.add_argument("--seconds", type=float, default=60, help="for all kinds together")
parser.add_argument("--seed", type=int, default=0)
chosen = parser.parse_args()
failed = False
for kind in KINDS:
    tally = try_inputs(kind, chosen.seconds / len(KINDS), chosen.seed)
    print(f"{kind}: {tally.tried} tried, {len(tally.unhandled)} unhandled, {len(tally.timeouts)} timed out", flush=True)
    for line in [*tally.unhandled, *tally.timeouts]:
        print(f"  {line[:500]}")
    failed |= bool(tally.unhandled or tally.timeouts)
# Kilobytes on Linux, bytes on macOS.
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(f"peak memory: {peak / 2**20:,.0f} MiB")
sys.exit(failed)
