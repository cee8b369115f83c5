"""Branches: the share of each branch for an input, per site."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from composer.amounts import plural
from composer.looking.canvas import COLOURS, WIDTH, axes, figure, label
from composer.looking.forms import Branches
from composer.looking.gather import Gathered, Seen
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.variation import judged, variation, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A branch with a smaller mean share counts as hardly used.
UNUSED = 0.05


def branches_section(gathered: Gathered, mechanism: str) -> Section | None:
    """The branches of a mechanism; None if there are none."""
    mine = [one for one in gathered.seen if isinstance(one.form, Branches) and one.form.site.mechanism == mechanism]
    found = [one.form for one in mine if isinstance(one.form, Branches)]
    if not found:
        return None
    return Section(
        f"{mechanism}: branches",
        "The share that each branch has of a channel, mean over channels and images. Whether shares listen to their "
        f"input is {judged(gathered)}.",
        [
            Plate(
                f"{mechanism}-branches",
                "Shares by site",
                "Mean share of each branch; whiskers are one standard deviation over channels.",
                f"Bars for the branches of {plural(len(found), 'site')}; the table holds their shares.",
                partial(_bars, found),
            )
        ],
        _table(mine, found),
        [finding for one, seen in zip(found, mine, strict=True) for finding in _findings(one, seen)],
    )


def shares(branches: Branches) -> tuple[Tensor, Tensor]:
    """Per branch: its mean share over images and channels, and the deviation of the channels' means."""
    by_channel = branches.values.mean(0)
    return by_channel.mean(1), by_channel.std(1, correction=0)


def _table(mine: Sequence[Seen], found: Sequence[Branches]) -> Table:
    most = max(one.values.shape[1] for one in found)
    heads = ("site", "channels", *(f"branch {number + 1}" for number in range(most)), "changes by", "input by", "so it")
    rows = []
    for one, seen in zip(found, mine, strict=True):
        mean, spread = shares(one)
        cells = [f"{a:.3f} ± {b:.3f}" for a, b in zip(mean.tolist(), spread.tolist(), strict=True)]
        changes = ("–" if values is None else f"{variation(values):.1%}" for values in (seen.everything, seen.fed))
        rows.append(
            (
                *(one.site.path, str(one.values.shape[2]), *cells, *[""] * (most - len(cells))),
                *changes,
                verdict(seen),
            )
        )
    return Table(heads, tuple(rows), heads[1:-1])


def _findings(one: Branches, seen: Seen) -> list[Finding]:
    mean, _ = shares(one)
    found = []
    if verdict(seen) == "ignores its input" and seen.everything is not None:
        detail = f"they change by {variation(seen.everything):.2%}"
        found.append(Finding(one.site.path, "its shares ignore its input", detail, True))
    for number, share in enumerate(mean.tolist()):
        if len(mean) > 1 and share < UNUSED:
            detail = f"its mean share is {share:.3f}"
            found.append(Finding(one.site.path, f"branch {number + 1} is hardly used", detail, True))
    return found


def _bars(found: Sequence[Branches]) -> Figure:
    most = max(one.values.shape[1] for one in found)
    row, left = 0.11 * most + 0.1, 1.75
    made = figure(len(found) * row + 0.75)
    place = axes(made, left, 0.3, WIDTH - left - 0.3, len(found) * row)
    thick = 0.8 / most
    known = [shares(one) for one in found]
    for number in range(most):
        having = [
            (index, mean[number], spread[number]) for index, (mean, spread) in enumerate(known) if len(mean) > number
        ]
        sites, mean, spread = np.array(having, dtype=np.float32).T
        height = sites + (number - (most - 1) / 2) * thick
        # A share cannot be below 0; a factor, which may be negative, can.
        whiskers = (np.where(mean < 0, spread, np.minimum(spread, mean)), spread)
        colour, style = COLOURS[number % len(COLOURS)], {"elinewidth": 0.6, "ecolor": "#333333"}
        place.barh(height, mean, thick, xerr=whiskers, color=colour, label=f"branch {number + 1}", error_kw=style)
    place.set_yticks(range(len(found)), [label(one.site.path, 34) for one in found])
    place.set_ylim(len(found) - 0.4, -0.6)
    place.set_xlim(0, min(1, 1.1 * max(float((mean + spread).max()) for mean, spread in known)))
    place.set_xlabel("share")
    place.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(most, 6))
    return made
