"""Pictures whose boxes are coloured by a number of each node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from composer.draw.ramp import RAMP, Tone
from composer.draw.theme import DARK, LIGHT
from composer.draw.values import Scale, Stacks, Values, middle, within
from composer.draw.view import Box, Tint, View
from composer.draw.written import WRITTEN

# Boxes of nothing are as the paper.
NONE: Tone = (LIGHT.paper, LIGHT.ink, DARK.paper, DARK.ink)
SWATCHES = 5


@dataclass(frozen=True)
class Coloured:
    """What colours a picture: classes of its boxes -> tones, and for the legend a sentence and classes with amounts."""

    tones: Mapping[str, Tone]
    words: str
    swatches: tuple[tuple[str, str], ...]

    def sheet(self, theme: str) -> str:
        """Rules for a style sheet: a theme of pictures, or `page`, whose reader may switch."""
        if theme == "auto":
            return f"{self._rules('light')}@media (prefers-color-scheme: dark){{{self._rules('dark')}}}"
        return self._rules(theme)

    def _rules(self, theme: str) -> str:
        def chosen(light: str, dark: str) -> str:
            return f"light-dark({light},{dark})" if theme == "page" else dark if theme == "dark" else light

        return "".join(
            f".cg .{name}>.box{{fill:{chosen(tone[0], tone[2])}}}"
            f".cg .{name}>text:not(.badge){{fill:{chosen(tone[1], tone[3])}}}"
            for name, tone in self.tones.items()
        )


def tinted(view: View, values: Values, scale: Scale | None, around: Stacks = ()) -> View:
    """The view with a tint for each of its boxes that has a number.

    around  the stacks that the view is in
    """

    def tint(box: Box) -> Box:
        inner = box.inner and tinted(box.inner, values, scale, within(box, around))
        words = values.told(box, around)
        if words is None:
            return replace(box, inner=inner)
        return replace(box, inner=inner, tint=Tint(words, _look(box, values, scale, around)))

    return replace(view, boxes=tuple(map(tint, view.boxes)))


def _look(box: Box, values: Values, scale: Scale | None, around: Stacks) -> str:
    """The class of a box; empty for a box in the colours of its kind."""
    own = next((path for path in values.paths(box, around) if path in values.tones), None)
    if own is not None:
        return "c" + "-".join(one.removeprefix("#") for one in values.tones[own])
    numbers = values.of(box, around)
    if not numbers or scale is None:
        return ""
    return "r-none" if values.adds and numbers[0] <= 0 else f"r{scale.step(middle(numbers))}"


def colouring(views: list[View], values: Values, scale: Scale | None) -> Coloured:
    """The tones of tinted views, and what their legend says."""
    looks = {box.tint.look for view in views for box in view.walk() if box.tint is not None and box.tint.look}
    swatches = tuple(_swatches(values, scale)) if scale is not None and not values.is_own else ()
    tones = {look: _tone(look) for look in sorted(looks | {look for look, _ in swatches})}
    kind = "" if not swatches else ", logarithmic" if scale is not None and scale.log else ", linear"
    return Coloured(tones, f"{values.words}{kind}", swatches)


def _swatches(values: Values, scale: Scale) -> Iterator[tuple[str, str]]:
    """Colours at even distances, with their amounts."""
    for place in range(SWATCHES if scale.least < scale.most else 1):
        part = place / (SWATCHES - 1) if scale.least < scale.most else 1.0
        ratio = scale.most / scale.least if scale.log else 1.0
        number = scale.least * ratio**part if scale.log else scale.least + (scale.most - scale.least) * part
        yield f"r{scale.step(number)}", WRITTEN[values.written](number)


def _tone(look: str) -> Tone:
    if look == "r-none":
        return NONE
    if look.startswith("c"):
        fill, ink = (f"#{one}" for one in look[1:].split("-"))
        return fill, ink, fill, ink
    return RAMP[int(look[1:])]
