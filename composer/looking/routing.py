"""Experts: their weights for an input, how even the weights are, and the effect of the temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from composer.amounts import plural
from composer.annealing import Tempered
from composer.looking.canvas import COLOURS, axes, figure, label, panels, rows_of
from composer.looking.forms import Routing
from composer.looking.gather import Gathered, Seen
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.sites import Site
from composer.looking.temperature import curve, softmax_at
from composer.looking.variation import judged, variation, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
# An expert with a smaller share of all weight is hardly used.
UNUSED = 0.01
# Weights with a larger share of the largest entropy are called even.
EVEN = 0.99
TEMPERATURES = (30.0, 10.0, 3.0, 1.0)
# Longer schedules are shown up to this epoch.
MOST_EPOCHS = 300


def routing_section(gathered: Gathered, mechanism: str) -> Section | None:
    """The section about a mechanism's experts; None if it has none."""
    mine = [one for one in gathered.seen if isinstance(one.form, Routing) and one.form.site.mechanism == mechanism]
    found = [one.form for one in mine if isinstance(one.form, Routing)]
    if not found:
        return None
    tempered = [one for one in found if temperature_of(gathered, one) is not None]
    return Section(
        f"{mechanism}: experts",
        "The weight of each expert. Its entropy is that of the weights as shares of their sum, divided by the largest "
        f"there can be: 1 is an even mixture, 0 a single expert. Whether weights listen to their input is "
        f"{judged(gathered)}.",
        [
            Plate(
                f"{mechanism}-experts",
                "Weights by site",
                "Weight of each expert, mean over images; whiskers are one standard deviation between images.",
                f"Bars for the experts of {plural(len(found), 'site')}; the table holds their weights.",
                partial(_bars, found),
            ),
            *([_temperature_plate(gathered, tempered, mechanism)] if tempered else []),
        ],
        _table(gathered, mine, found),
        [
            finding
            for one, seen in zip(found, mine, strict=True)
            for finding in _findings(one, seen, temperature_of(gathered, one))
        ],
    )


def entropy(weights: Tensor) -> float:
    """How even non-negative weights, images x n, are, mean over images: 1 if all equal, 0 if a single weight is not 0.

    >>> entropy(torch.tensor([[0.5, 0.5]])), entropy(torch.tensor([[0.0, 3.0]]))
    (1.0, 0.0)
    """
    if weights.shape[1] < 2:
        return 0.0
    share = weights / weights.sum(1, keepdim=True).clamp(min=1e-12)
    # Rounding may lead slightly out of 0 … 1.
    return min(1.0, max(0.0, float(torch.special.entr(share).sum(1).mean()) / math.log(weights.shape[1])))


def temperature_of(gathered: Gathered, routing: Routing) -> float | None:
    """The current temperature of a site's softmax; None if it has no temperature to anneal."""
    module = gathered.model.get_submodule(routing.site.path)
    # `curve` needs a mechanism that replaces a convolution.
    value = module.temperature if isinstance(module, Tempered) and routing.site.replaces else None
    return float(value) if isinstance(value, Tensor) and value.numel() == 1 else None


def at_temperatures(weights: Tensor, now: float, others: Sequence[float]) -> Tensor:
    """A row of n weights per temperature of `others`, from the softmax that gave the weights n at temperature `now`.

    >>> logits = torch.tensor([1.0, 3.0])
    >>> bool(torch.allclose(at_temperatures((logits / 30).softmax(0), 30, [2.0])[0], (logits / 2).softmax(0)))
    True
    """
    return softmax_at(now * weights.clamp(min=1e-30).log(), others)


def _table(gathered: Gathered, mine: Sequence[Seen], found: Sequence[Routing]) -> Table:
    heads = ("site", "weights", "entropy", "temperature", "changes by", "input by", "so it")
    rows = []
    for one, seen in zip(found, mine, strict=True):
        temperature = temperature_of(gathered, one)
        changes = ("–" if values is None else f"{variation(values):.1%}" for values in (seen.everything, seen.fed))
        weights = "  ".join(f"{weight:.3f}" for weight in one.values.mean(0).tolist())
        spread = f"{entropy(one.values):.3f}" if (one.values >= 0).all() else "–"
        shown = "–" if temperature is None else f"{temperature:g}"
        rows.append((one.site.path, weights, spread, shown, *changes, verdict(seen)))
    return Table(heads, tuple(rows), heads[2:-1])


def _findings(one: Routing, seen: Seen, temperature: float | None) -> list[Finding]:
    path, found = one.site.path, []
    if verdict(seen) == "ignores its input" and seen.everything is not None:
        at = "" if temperature is None else f" at temperature {temperature:g}"
        detail = f"they change by {variation(seen.everything):.2%}{at}"
        found.append(Finding(path, "its weights ignore its input", detail, True))
    if one.values.shape[1] < 2 or (one.values < 0).any():
        return found
    if (spread := entropy(one.values)) > EVEN:
        at = "" if temperature is None else f" at temperature {temperature:g}"
        found.append(Finding(path, "its experts share evenly", f"entropy {spread:.4f} of 1{at}", True))
    mean = one.values.mean(0)
    for expert in (mean / mean.sum().clamp(min=1e-12) < UNUSED).nonzero().flatten().tolist():
        detail = f"its mean weight is {mean[expert]:.4f}"
        found.append(Finding(path, f"expert {expert + 1} is hardly used", detail, True))
    return found


def _bars(found: Sequence[Routing]) -> Figure:
    columns = min(COLUMNS, len(found))
    rows = rows_of(found, columns)
    made, grid = panels(rows, columns, aspect=0.6, gap=(0.25, 0.42), left=0.35, top=0.3, bottom=0.25)
    places = [place for line in grid for place in line]
    highest = max(float(one.values.max()) for one in found)
    for index, (one, place) in enumerate(zip(found, places, strict=False)):
        mean, spread = one.values.mean(0).numpy(), one.values.std(0, correction=0).numpy()
        experts = np.arange(1, len(mean) + 1)
        place.bar(experts, mean, color=COLOURS[0], yerr=spread, error_kw={"elinewidth": 0.6})
        note = f"\nentropy {entropy(one.values):.3f}" if (one.values >= 0).all() else ""
        place.set_title(f"{label(one.site.path, 26)}{note}", fontsize=5.5, pad=2)
        place.set_ylim(min(0.0, float(one.values.min())), 1.05 * highest or 1)
        place.set_xticks(experts[:: max(1, len(experts) // 8)])
        if index % columns:
            place.set_yticklabels([])
    for place in places[len(found) :]:
        place.remove()
    return made


def _temperature_plate(gathered: Gathered, tempered: Sequence[Routing], mechanism: str) -> Plate:
    # The site whose experts differ most shows most.
    chosen = min(tempered, key=lambda one: entropy(one.values))
    now = temperature_of(gathered, chosen) or 1.0
    hot, cold = (entropy(row[None]) for row in at_temperatures(chosen.values[0], now, TEMPERATURES)[[0, -1]])
    return Plate(
        f"{mechanism}-temperature",
        "What temperature does",
        f"Left: the weights of {chosen.site.path} for the first image, from the same logits at several temperatures. "
        "Right: the temperature that composer.anneal sets before each epoch, and what it makes of the entropy of these "
        "weights.",
        f"At temperature {TEMPERATURES[0]:g} the weights of {chosen.site.path} have an entropy of {hot:.3f}, at "
        f"{TEMPERATURES[-1]:g} one of {cold:.3f}.",
        partial(_temperature, chosen, now),
    )


def _temperature(chosen: Routing, now: float) -> Figure:
    made = figure(2.2)
    weights = chosen.values[0]
    left, right = axes(made, 0.5, 0.3, 2.9, 1.4), axes(made, 4.1, 0.3, 2.5, 1.4)
    experts, thick = np.arange(1, len(weights) + 1), 0.8 / len(TEMPERATURES)
    for number, shown in enumerate(at_temperatures(weights, now, TEMPERATURES)):
        offset = (number - (len(TEMPERATURES) - 1) / 2) * thick
        name = f"τ = {TEMPERATURES[number]:g}"
        left.bar(experts + offset, shown.numpy(), thick, color=COLOURS[number], label=name)
    left.set(xlabel="expert", ylabel="weight", xticks=experts)
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(TEMPERATURES))
    schedule = _schedule(chosen.site)
    right.plot(range(len(schedule)), schedule, color=COLOURS[0])
    right.set(xlabel="epoch", ylabel="temperature τ", ylim=(0, 1.05 * max(schedule)))
    other = right.twinx()
    entropies = [entropy(row[None]) for row in at_temperatures(weights, now, schedule)]
    other.plot(entropies, color=COLOURS[5], linestyle="--")
    other.set(ylabel="entropy (dashed)", ylim=(0, 1.05))
    other.spines["right"].set_visible(True)
    return made


def _schedule(site: Site) -> list[float]:
    """The temperature before each epoch, and a quarter more epochs after its last change."""
    values = curve(MOST_EPOCHS, site.options, site.mechanism)
    last = next((epoch for epoch in reversed(range(1, MOST_EPOCHS)) if values[epoch] != values[epoch - 1]), 0)
    return values[: last + 2 + last // 4]
