"""A ramp of colours from little to much: its lightness grows evenly, for every kind of colour vision and in print.

Its hues, from cyan by blue to violet, are far from the orange of what is inserted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

STEPS = 64
# Fill and ink on light paper, then on dark.
Tone = tuple[str, str, str, str]
Stop = tuple[float, float, float]

# Lightness, chroma and hue in OKLCH, from little to much; the more, the farther from the paper.
_LIGHT: Sequence[Stop] = ((0.97, 0.02, 200), (0.635, 0.12, 235), (0.3, 0.13, 285))
_DARK: Sequence[Stop] = ((0.25, 0.05, 285), (0.585, 0.12, 235), (0.92, 0.07, 200))
# White is easier to read than black on what is darker than this; both have a contrast of 4.58 there.
_HALF = 0.179


def _tone(part: float) -> Tone:
    light, dark = (_linear(_between(stops, part)) for stops in (_LIGHT, _DARK))
    return _written(light), _ink(light), _written(dark), _ink(dark)


def _between(stops: Sequence[Stop], part: float) -> Stop:
    """Straight from stop to stop in lightness, chroma and hue."""
    pairs = list(pairwise(stops))
    at = min(len(pairs) - 1, int(part * len(pairs)))
    share = part * len(pairs) - at
    lightness, chroma, hue = (start + (end - start) * share for start, end in zip(*pairs[at], strict=True))
    return lightness, chroma, hue


def _linear(stop: Stop) -> Stop:
    """OKLCH as linear red, green and blue, by the matrices of B. Ottosson."""
    lightness, chroma, hue = stop
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short
    return min(1.0, max(0.0, red)), min(1.0, max(0.0, green)), min(1.0, max(0.0, blue))


def _ink(channels: Stop) -> str:
    red, green, blue = channels
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > _HALF else "#ffffff"


def _written(channels: Stop) -> str:
    curved = (12.92 * one if one <= 0.0031308 else 1.055 * one ** (1 / 2.4) - 0.055 for one in channels)
    return "#" + "".join(f"{round(255 * one):02x}" for one in curved)


def ink_on(colour: Sequence[int]) -> str:
    """Black or white, whichever is easier to read on a colour of red, green and blue in 0..255."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    ]
    return _ink((linear[0], linear[1], linear[2]))


RAMP: Sequence[Tone] = [_tone(step / (STEPS - 1)) for step in range(STEPS)]
