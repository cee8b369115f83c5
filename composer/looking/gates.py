"""Channel gates: a heat map by site, histograms, how many are saturated, and which ignore their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.amounts import plural
from composer.looking.canvas import COLOURS, GREY, SEQUENTIAL, TINY, WIDTH, axes, figure, label, panels, rows_of
from composer.looking.forms import Gates
from composer.looking.gather import Gathered, Seen
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.variation import STILL, Verdict, judged, variation, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A gate below the first value or above the second counts as saturated.
CLOSED, OPEN = 0.05, 0.95
BINS = 40
COLUMNS = 6
# The number of columns over which the channels of each site are spread in the heat map.
STRETCH = 256


@dataclass(frozen=True)
class GateFacts:
    """Statistics of the gates of a site, over all images and channels.

    closed  share of gates that are saturated at 0; None for values not between 0 and 1
    open    share of gates that are saturated at 1; None for values not between 0 and 1
    change  how much the gates differ between inputs; None if unknown
    fed     how much the site's input differs between inputs; None if unknown
    spread  how much the gates differ between channels
    """

    gates: Gates
    mean: float
    low: float
    high: float
    closed: float | None
    open: float | None
    change: float | None
    fed: float | None
    spread: float
    verdict: Verdict

    @property
    def saturated(self) -> float | None:
        """The share of gates that are saturated at either end."""
        return None if self.closed is None or self.open is None else self.closed + self.open


def facts(seen: Seen) -> GateFacts:
    """The statistics of a site's gates."""
    gates = seen.form
    assert isinstance(gates, Gates)
    values = gates.values
    proper = values - gates.offset
    bounded = bool((proper >= 0).all() and (proper <= 1).all())
    return GateFacts(
        gates,
        float(values.mean()),
        float(values.min()),
        float(values.max()),
        float((proper < CLOSED).float().mean()) if bounded else None,
        float((proper > OPEN).float().mean()) if bounded else None,
        None if seen.everything is None else variation(seen.everything),
        None if seen.fed is None else variation(seen.fed),
        variation(values.mean(0)[:, None]),
        verdict(seen),
    )


def gates_section(gathered: Gathered, mechanism: str) -> Section | None:
    """The channel gates of a mechanism; None if there are none."""
    mine = [one for one in gathered.seen if isinstance(one.form, Gates) and one.form.site.mechanism == mechanism]
    found = [facts(one) for one in mine]
    if not found:
        return None
    part = found[0].gates.part
    title = f"{mechanism}: channel gates" + (f" ({part} half)" if part else "")
    differing = [one for one in found if _findings(one)]
    return Section(
        title,
        f"{_sentence(found, differing)} "
        f"Gates are means over {_images(gathered)} unless said otherwise. A gate is saturated below {CLOSED} or above "
        f"{OPEN}" + (" of what is added to 1" if found[0].gates.offset else "") + f". Whether it listens to its input "
        f"is {judged(gathered)}.",
        _plates(differing or found, mechanism),
        _table(differing or found),
        [finding for one in found for finding in _findings(one)],
    )


def _sentence(found: Sequence[GateFacts], differing: Sequence[GateFacts]) -> str:
    """What the gates of all sites are, and of how many nothing more is to be said."""
    low, high = min(one.mean for one in found), max(one.mean for one in found)
    means = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    quiet = sum(one.verdict == "ignores its input" for one in found)
    heard = f"{quiet} of {plural(len(found), 'site')} ignore their input, the mean gate of a site is {means}"
    alike = len(found) - len(differing)
    return f"{heard}" + (f"; of {alike} nothing differs, and they are left out." if 0 < alike < len(found) else ".")


def _images(gathered: Gathered) -> str:
    return "the image" if len(gathered.names) == 1 else f"{len(gathered.names)} images"


def _plates(found: Sequence[GateFacts], mechanism: str) -> list[Plate]:
    known = [one for one in found if one.change is not None]
    plates = [
        Plate(
            f"{mechanism}-gates",
            "Gates by site",
            "A row for each site in the order they run, with its channels sorted by their gate and stretched over the "
            "same width.",
            f"Heat map of {plural(len(found), 'site')}; mean gates from {min(one.mean for one in found):.2f} to "
            f"{max(one.mean for one in found):.2f}.",
            partial(_heatmap, found),
        ),
        Plate(
            f"{mechanism}-histograms",
            "Histograms",
            "Gates of all channels and images; dashed lines mark where they count as saturated.",
            f"Histograms of the gates of {plural(len(found), 'site')}; the table holds their means and ends.",
            partial(_histograms, found),
        ),
    ]
    if known:
        quiet = sum(one.verdict == "ignores its input" for one in known)
        plates.append(
            Plate(
                f"{mechanism}-inputs",
                "Does the gate listen?",
                "How much gates (dots) and what arrives at them (rings) change between inputs, as a share of their "
                f"size. A dot left of the dashed line, {STILL:.0%}, with a ring right of it ignores its input.",
                f"{quiet} of {plural(len(known), 'site')} ignore their input.",
                partial(_listening, known),
            )
        )
    return plates


def _table(found: Sequence[GateFacts]) -> Table:
    heads = ("site", "channels", "mean", "from", "to", "closed", "open", "changes by", "input by", "so it")
    rows = [
        (
            one.gates.site.path,
            str(one.gates.values.shape[1]),
            *(f"{value:.3f}" for value in (one.mean, one.low, one.high)),
            *(_share(value) for value in (one.closed, one.open, one.change, one.fed)),
            one.verdict,
        )
        for one in found
    ]
    return Table(heads, tuple(rows), heads[1:-1])


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %" if value < 10 else f"{100 * value:.0f} %"


def _findings(one: GateFacts) -> list[Finding]:
    path = one.gates.site.path
    found = []
    if one.verdict == "ignores its input":
        detail = f"it changes by {_share(one.change)}, its input by {_share(one.fed)}"
        found.append(Finding(path, "this gate ignores its input", detail, True))
    if one.verdict == "its input is still":
        detail = f"by {_share(one.fed)}, so whether the gate listens cannot be said"
        found.append(Finding(path, "what arrives at this gate hardly changes", detail))
    if one.saturated is not None and one.saturated >= 0.5:
        found.append(Finding(path, "most of its gates are saturated", _share(one.saturated), True))
    if one.spread < STILL and one.gates.values.shape[1] > 1:
        detail = f"its gates differ by {_share(one.spread)} between them"
        found.append(Finding(path, "it treats all channels alike", detail, True))
    return found


def _range(found: Sequence[GateFacts]) -> tuple[float, float]:
    """The range of values in figures: 0..1 or 1..2 if all gates lie inside, else the smallest and largest value."""
    offset = found[0].gates.offset
    low, high = min(one.low for one in found), max(one.high for one in found)
    if all(one.closed is not None for one in found):
        return offset, offset + 1
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _heatmap(found: Sequence[GateFacts]) -> Figure:
    low, high = _range(found)
    row, left = 0.15, 1.75
    made = figure(len(found) * row + 0.4)
    place = axes(made, left, 0.1, WIDTH - left - 1.25, len(found) * row)
    rows = np.stack([_stretched(one) for one in found])
    shown = place.imshow(rows, aspect="auto", cmap=SEQUENTIAL, vmin=low, vmax=high)
    place.set_yticks(range(len(found)), [label(one.gates.site.path, 34) for one in found])
    place.set_xticks([0, (STRETCH - 1) / 2, STRETCH - 1], ["lowest", "channels, sorted", "highest"])
    for index, one in enumerate(found):
        text = f"{one.gates.values.shape[1]} channels"
        place.text(STRETCH + 2, index, text, fontsize=5, va="center", color=GREY)
    bar = axes(made, WIDTH - 0.6, 0.1, 0.1, max(0.6, len(found) * row))
    made.colorbar(shown, cax=bar, label="mean gate")
    return made


def _stretched(one: GateFacts) -> np.ndarray[Any, Any]:
    ordered = one.gates.values.mean(0).sort().values.numpy()
    index = (np.arange(STRETCH) * len(ordered)) // STRETCH
    return ordered[index]


def _histograms(found: Sequence[GateFacts]) -> Figure:
    low, high = _range(found)
    rows = rows_of(found, COLUMNS)
    made, grid = panels(rows, COLUMNS, aspect=0.55, gap=(0.2, 0.45), left=0.1, top=0.3, bottom=0.2)
    places = [place for line in grid for place in line]
    for one, place in zip(found, places, strict=False):
        counts, edges = np.histogram(one.gates.values.flatten().numpy(), bins=BINS, range=(low, high))
        place.bar(edges[:-1], counts / max(1, counts.sum()), np.diff(edges), align="edge", color=COLOURS[0])
        if one.saturated is not None:
            for line in (CLOSED, OPEN):
                place.axvline(one.gates.offset + line, color=GREY, linewidth=0.5, linestyle="--")
        saturated = "" if one.saturated is None else f"\n{_share(one.saturated)} saturated"
        place.set_title(f"{label(one.gates.site.path, 26)}{saturated}", fontsize=5.5, pad=2)
        place.set_xlim(low, high)
        ends = (low, (low + high) / 2, high)
        place.set_xticks(ends, [f"{end:.3g}" for end in ends])
        place.set_yticks([])
        place.spines["left"].set_visible(False)
    for place in places[len(found) :]:
        place.remove()
    return made


def _listening(found: Sequence[GateFacts]) -> Figure:
    row, left = 0.15, 1.75
    made = figure(len(found) * row + 0.75)
    place = axes(made, left, 0.3, WIDTH - left - 0.3, len(found) * row)
    height = range(len(found))
    changes = np.clip([one.change or 0 for one in found], 1e-4, 10)
    inputs = np.clip([one.fed or 0 for one in found], 1e-4, 10)
    place.hlines(list(height), np.minimum(changes, inputs), np.maximum(changes, inputs), color="#cccccc", linewidth=0.8)
    place.plot(inputs, height, "o", mfc="none", mec=COLOURS[5], ms=4, mew=0.9, label="what arrives")
    place.plot(changes, height, "o", color=COLOURS[0], ms=4, label="the gate")
    place.axvline(STILL, color=GREY, linewidth=0.7, linestyle="--")
    place.set_xscale("log")
    place.set_xlim(8e-5, 12)
    place.set_ylim(len(found) - 0.4, -0.6)
    place.set_yticks(list(height), [label(one.gates.site.path, 34) for one in found])
    ticks = {1e-4: "≤ 0.01 %", 1e-3: "0.1 %", 1e-2: "1 %", 1e-1: "10 %", 1: "100 %", 10: "≥ 1000 %"}
    place.set_xticks(list(ticks), list(ticks.values()))
    place.minorticks_off()
    place.set_xlabel("change between inputs, as a share of its size")
    place.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=TINY)
    return made
