"""The table of mechanisms: python -m tests.mechanisms.table > examples/tables/mechanisms.md"""

from __future__ import annotations

import re
from collections.abc import Iterable

from composer import contract
from tests.mechanisms.cases import ENTRIES, case_of

LETTERS = """\
Letters: c channels in, o out, d hidden width, k kernel, g groups, h w the map, m branches, R radix, K cardinality,
n experts, H heads of p channels. `composer show NAME` gives the equation, the options, the cost at a size, the paper
and where it departs from it."""
REFUSED = """\
Every check that is not named passes with the defaults, and `tests/mechanisms/test_contract.py` holds the refusals to
their words. *Trains on one image* is refused where BatchNorm has one pooled vector to normalise: `norm: layer` or
`norm: none` trains on one image, and `build` and `validate` say so beforehand. `ge`, `ge_plus` (at extent 0) and `bot`
are made for one size of map; `sasa` refuses windows larger than the map. *Reference* compares outputs and gradients
with a plain formula, of those that declare one: {references}."""


def lines() -> Iterable[str]:
    """The table in Markdown, from the docstrings and from the refusals that the tests of the contract expect."""
    yield "# Mechanisms\n"
    yield "Made by `python -m tests.mechanisms.table`.\n"
    yield f"| mechanism | kind | parameters | refused, of the contract's {len(contract.CHECKS)} checks |"
    yield "|---|---|---|---|"
    for entry in ENTRIES:
        formula = re.search(r"^Params:\s+(.*)$", entry.doc, re.MULTILINE)[1].partition(";")[0].strip()
        refused = [check for check in contract.CHECKS if ("", check) in case_of(entry.name).refusals]
        yield f"| `{entry.name}` | {entry.kind} | {formula} | {', '.join(refused) or 'none'} |"
    yield f"\n{LETTERS}\n"
    yield REFUSED.format(references=", ".join(f"`{entry.name}`" for entry in ENTRIES if entry.reference))
    yield f"\nThe {len(contract.CHECKS)} checks: {', '.join(contract.CHECKS)}."


if __name__ == "__main__":
    print("\n".join(lines()))
