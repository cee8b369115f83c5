"""A scatter plot as inline SVG, whose front of best points is drawn; its colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from composer.html import words

WIDTH, HEIGHT = 620, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 28, 14, 46
_RADIUS = 4.5
# Where the number of a point may stand beside it, the best first.
_BESIDE = ((8, 4), (-8, 4), (0, -9), (0, 17), (9, -7), (-9, -7), (9, 14), (-9, 14))
STYLE = """
.plot { display: block; max-width: 100%; height: auto }
.plot text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.plot .tick { fill: var(--faint) } .plot .grid { stroke: var(--line) } .plot .front { stroke: var(--mark); fill: none;
  stroke-width: 1.5; stroke-dasharray: 5 3 } .plot .bar { stroke: var(--faint) }
.plot .variant { fill: var(--mark) } .plot .plain { fill: var(--ink) }
.plot .control { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5 } .plot .number { font-size: 11px }
"""


@dataclass(frozen=True)
class Point:
    """A point of a plot.

    number  in the table beside it
    label   its name
    kind    `plain` (a square), `variant` (a disc) or `control` (a diamond)
    low, high  the ends of its interval in y; None without one
    """

    number: int
    label: str
    kind: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    text  a value as its ticks write it
    """

    title: str
    text: Callable[[float], str]


def front(points: Iterable[Point], *, upward: bool) -> list[Point]:
    """The points that no other beats: less in x and, if `upward`, more in y, else less; by x.

    >>> found = front([Point(1, "a", "variant", 1, 5), Point(2, "b", "variant", 2, 4)], upward=True)
    >>> [one.label for one in found]
    ['a']
    """
    found: list[Point] = []
    for one in sorted(points, key=lambda one: (one.x, -one.y if upward else one.y)):
        if not found or (one.y > found[-1].y if upward else one.y < found[-1].y):
            found.append(one)
    return found


def scatter(points: Sequence[Point], x: Axis, y: Axis, *, upward: bool) -> str:
    """The SVG of a plot with its front: the variants that no other beats in both. Empty without two points.

    upward  whether more is better in y; in x, less is
    """
    if len(points) < 2:
        return ""
    over, up = (
        Scale.of([one.x for one in points], _LEFT, WIDTH - _RIGHT),
        Scale.of(_heights(points), HEIGHT - _BOTTOM, _TOP),
    )
    best = front((one for one in points if one.kind == "variant"), upward=upward)
    label = f"{y.title} over {x.title}; on the front: {', '.join(one.label for one in best) or 'none'}"
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{words(label)}">',
        *_axes(over, up, x, y),
        *_line([(over(one.x), up(one.y)) for one in best]),
        *(
            _bar(over(one.x), up(one.low), up(one.high))
            for one in points
            if one.low is not None and one.high is not None
        ),
        *(_mark(one, over(one.x), up(one.y), x, y) for one in points),
        *_numbers([(one.number, over(one.x), up(one.y)) for one in points]),
        "</svg>",
    ]
    return "".join(parts)


@dataclass(frozen=True)
class Scale:
    """Values -> pixels, with ticks at round values."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> Scale:
        low, high = min(values), max(values)
        if low == high:
            low, high = low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1)
        step = _round((high - low) / 5)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = [index * step for index in range(first, last + 1)]
        return cls(ticks[0], ticks[-1], start, end, ticks)

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def _round(step: float) -> float:
    """The next of 1, 2, 5, 10 … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * one for one in (1, 2, 5, 10) if power * one >= step * 0.999)


def _heights(points: Sequence[Point]) -> list[float]:
    return [one for point in points for one in (point.y, point.low, point.high) if one is not None]


def _axes(over: Scale, up: Scale, x: Axis, y: Axis) -> list[str]:
    found = []
    for tick, text in zip(up.ticks, _texts(up.ticks, y), strict=True):
        at = up(tick)
        found.append(f'<path class="grid" d="M{_LEFT} {at}H{WIDTH - _RIGHT}"/>')
        found.append(f'<text class="tick" x="{_LEFT - 8}" y="{at + 4}" text-anchor="end">{words(text)}</text>')
    for tick, text in zip(over.ticks, _texts(over.ticks, x), strict=True):
        at = over(tick)
        found.append(f'<path class="grid" d="M{at} {_TOP}V{HEIGHT - _BOTTOM}"/>')
        below = HEIGHT - _BOTTOM + 17
        found.append(f'<text class="tick" x="{at}" y="{below}" text-anchor="middle">{words(text)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    found.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{words(x.title)}</text>')
    at = (_TOP + HEIGHT - _BOTTOM) / 2
    found.append(f'<text transform="translate(14 {at}) rotate(-90)" text-anchor="middle">{words(y.title)}</text>')
    return found


def _texts(ticks: Sequence[float], axis: Axis) -> list[str]:
    """The ticks in the axis's words, or with all digits where these do not tell them apart."""
    found = [axis.text(one) for one in ticks]
    return found if len({*found}) == len(found) else [f"{one:,.15g}" for one in ticks]


def _line(points: Sequence[tuple[float, float]]) -> list[str]:
    if len(points) < 2:
        return []
    return [f'<path class="front" d="M{"L".join(f"{x} {y}" for x, y in points)}"/>']


def _bar(x: float, low: float, high: float) -> str:
    return f'<path class="bar" d="M{x} {low}V{high}"/>'


def _mark(point: Point, x: float, y: float, over: Axis, up: Axis) -> str:
    told = f"{point.number}: {point.label}, {over.text(point.x)}, {up.text(point.y)}"
    title = f"<title>{words(told)}</title>"
    r = _RADIUS
    if point.kind == "variant":
        return f'<circle class="variant" cx="{x}" cy="{y}" r="{r}">{title}</circle>'
    if point.kind == "plain":
        return f'<rect class="plain" x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}">{title}</rect>'
    r += 1
    return f'<path class="control" d="M{x} {y - r:.1f}l{r} {r}l-{r} {r}l-{r} -{r}z">{title}</path>'


def _numbers(points: Sequence[tuple[int, float, float]]) -> list[str]:
    """The numbers of the points beside them, where they cover the fewest others; points in one place share a text."""
    groups: list[tuple[list[int], float, float]] = []
    for number, x, y in points:
        near = next((one for one in groups if math.hypot(one[1] - x, one[2] - y) < 2 * _RADIUS), None)
        if near is None:
            groups.append(([number], x, y))
        else:
            near[0].append(number)
    taken = [(x, y) for _, x, y in points]
    found = []
    for numbers, x, y in groups:
        text = _few(numbers)
        half = 3.3 * len(text)
        places = [(x + dx, y + dy, "end" if dx < 0 else "start" if dx else "middle") for dx, dy in _BESIDE]
        at = min(places, key=lambda place: sum(_covers(place, half, other) for other in taken) + _outside(place, half))
        middle = _middle(at, half)
        taken += [(middle + step, at[1] - 4) for step in (-half / 2, half / 2)]
        found.append(f'<text class="number" x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{at[2]}">{text}</text>')
    return found


def _few(numbers: Sequence[int]) -> str:
    """Numbers in a text, without the middle of many."""
    return ", ".join(map(str, numbers)) if len(numbers) < 8 else f"{numbers[0]}, {numbers[1]}, … {numbers[-1]}"


def _middle(place: tuple[float, float, str], half: float) -> float:
    return place[0] + {"end": -half, "start": half, "middle": 0}[place[2]]


def _covers(place: tuple[float, float, str], half: float, other: tuple[float, float]) -> bool:
    return abs(_middle(place, half) - other[0]) < half + _RADIUS and abs(place[1] - 4 - other[1]) < 10


def _outside(place: tuple[float, float, str], half: float) -> int:
    """How bad it is that a text leaves the plot: worse than covering anything."""
    middle = _middle(place, half)
    return 100 * (middle - half < _LEFT or middle + half > WIDTH or not _TOP < place[1] < HEIGHT - _BOTTOM + 4)
