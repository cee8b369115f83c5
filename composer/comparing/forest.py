"""Differences of paired runs as inline SVG: a line for each comparison, every pair a dot, both intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composer.comparing.scatter import Scale
from composer.comparing.statistics import Interval
from composer.html import words

WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BELOW = 620, 40, 16, 10, 30, 42
STYLE = """
.plot .zero { stroke: var(--ink); stroke-width: 1.5 } .plot .seeds { stroke: var(--mark); stroke-width: 3 }
.plot .images { stroke: var(--faint); stroke-width: 1.5 } .plot .run { fill: var(--paper); stroke: var(--mark) }
.plot .mean { fill: var(--mark) }
"""


@dataclass(frozen=True)
class Line:
    """A comparison.

    number  in the table beside it
    label   its name
    runs    the difference of every pair, in points
    seeds   the mean and the interval for these images, images that for new ones, in shares; None where not known
    """

    number: int
    label: str
    runs: Sequence[float]
    seeds: Interval | None
    images: Interval | None


def forest(lines: Sequence[Line], title: str) -> str:
    """The SVG; empty where no line has a run."""
    shown = [one for one in lines if one.runs]
    if not shown:
        return ""
    across = Scale.of([0.0, *(value for one in shown for value in _values(one))], _LEFT, WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(shown)
    label = f"{title}, for {len(shown)} comparisons; the numbers are in the table"
    height = bottom + _BELOW
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{words(label)}">'
    ]
    for tick in across.ticks:
        at = across(tick)
        parts.append(f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>')
        text = f"{round(tick, 9) + 0.0:+g}" if round(tick, 9) else "0"
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 17}" text-anchor="middle">{text}</text>')
    parts.append(f'<path class="zero" d="M{across(0.0)} {_TOP}V{bottom}"/>')
    for index, one in enumerate(shown):
        parts += _line(one, _TOP + _ROW * (index + 0.5), across)
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 6}" text-anchor="middle">{words(title)}</text></svg>')
    return "".join(parts)


def _values(one: Line) -> list[float]:
    ends = [end for interval in (one.seeds, one.images) if interval for end in (interval.low, interval.high)]
    return [*one.runs, *(100 * end for end in ends if end is not None)]


def _line(one: Line, y: float, across: Scale) -> list[str]:
    parts = [f'<text class="number" x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{one.number}</text>']
    for name, interval, step in (("images", one.images, 7), ("seeds", one.seeds, 0)):
        if interval is not None and interval.low is not None and interval.high is not None:
            low, high = across(100 * interval.low), across(100 * interval.high)
            parts.append(f'<path class="{name}" d="M{low} {y + step}H{high}"/>')
    parts += [f'<circle class="run" cx="{across(value)}" cy="{y - 7}" r="2.5"/>' for value in one.runs]
    if one.seeds is not None:
        told = words(f"{one.number}: {one.label}, {100 * one.seeds.mean:+.2f} points")
        at = across(100 * one.seeds.mean)
        parts.append(f'<circle class="mean" cx="{at}" cy="{y}" r="5"><title>{told}</title></circle>')
    return parts
