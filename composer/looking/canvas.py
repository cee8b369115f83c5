"""Figures without a screen: sizes, colours and labels that all figures share."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from composer.errors import Diagnostic, UnavailableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The width of two columns of a paper, in inches.
WIDTH = 7.2
DPI = 160
SMALL, TINY = 7, 6
# Viridis and magma grow in lightness, also in print and for colour-blind readers; the others are of Okabe and Ito.
SEQUENTIAL, FIELD = "viridis", "magma"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
GREY = "#777777"
# Axes narrower than this, in pixels, have no room for three digits at both ends.
NARROW = 130

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": SMALL,
    "axes.titlesize": SMALL,
    "axes.labelsize": SMALL,
    "xtick.labelsize": TINY,
    "ytick.labelsize": TINY,
    "legend.fontsize": TINY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}


def require_matplotlib() -> None:
    """Raises UnavailableError, naming the extra, if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        help = ('pip install "attention-composer[look]"',)
        raise UnavailableError(Diagnostic("extra", "figures need matplotlib", help=help)) from error


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """A context in which figures look the same under any settings of the user."""
    require_matplotlib()
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE]):
        yield


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(made)
    return made


def axes(made: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    across, down = made.get_size_inches()
    return made.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def panels(
    rows: int,
    columns: int,
    *,
    aspect: float = 1.0,
    gap: tuple[float, float] = (0.08, 0.3),
    left: float = 0.05,
    top: float = 0.25,
    bottom: float = 0.25,
    widest: float = 1.8,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure and its grid of axes; `aspect` is height / width, `widest` the largest width; lengths in inches."""
    across, down = gap
    side = min(widest, (WIDTH - left - 0.05 - across * (columns - 1)) / columns)
    high = side * aspect
    made = figure(top + rows * high + (rows - 1) * down + bottom, left + columns * side + (columns - 1) * across + 0.05)
    grid = [
        [
            axes(made, left + column * (side + across), top + row * (high + down), side, high)
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    return made, grid


def picture(place: Axes, pixels: Any, title: str = "", **options: Any) -> None:
    """Draw an image, pixels h w or h w 3, in axes without ticks."""
    place.imshow(pixels, aspect="auto", **options)
    place.set_axis_off()
    if title:
        # With a given position, matplotlib does not measure every tick.
        place.set_title(title, fontsize=TINY, y=1.0, pad=2.5)


def scale(
    place: Axes,
    low: float,
    high: float,
    colours: str = SEQUENTIAL,
    middle: float | None = None,
    marked: tuple[float, float] | None = None,
) -> None:
    """Draw a thin colour bar below axes, with the values at its ends, and at its middle if that is not halfway.

    marked  a part of it that is framed
    """
    import numpy as np

    place.set_autoscale_on(False)
    bar, below = np.linspace(0, 1, 128)[None], place.transAxes
    place.imshow(bar, aspect="auto", cmap=colours, extent=(0, 1, -0.075, -0.03), transform=below, clip_on=False)
    if marked is not None and high > low:
        first, last = (min(max((one - low) / (high - low), 0.0), 1.0) for one in marked)
        across = (first, last, last, first, first)
        place.plot(
            across, (-0.09, -0.09, -0.015, -0.015, -0.09), color="#d55e00", lw=0.8, transform=below, clip_on=False
        )
    narrow = place.bbox.width < NARROW
    halfway = [] if middle is None else [(0.5, middle, "center")]
    for x, number, side in ((0.0, low, "left"), *halfway, (1.0, high, "right")):
        text = f"{number:.2g}" if narrow else f"{number:.3g}"
        place.text(x, -0.1, text, fontsize=4.5 if narrow else 5, ha=side, va="top", transform=below)


def png(made: Figure) -> bytes:
    """A figure as PNG; equal figures give equal bytes."""
    stream = io.BytesIO()
    made.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def label(text: str, limit: int = 40) -> str:
    """Text for a figure: only known glyphs, no formulas, its middle left out if it is too long."""
    known = _glyphs()
    shown = "".join(character if ord(character) in known else "\N{REPLACEMENT CHARACTER}" for character in text)
    if len(shown) > limit:
        shown = f"{shown[: limit // 2]}…{shown[len(shown) - (limit - 1) // 2 :]}"
    # A dollar would start a formula.
    return shown.replace("$", r"\$")


def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def rows_of(items: Sequence[Any], columns: int) -> int:
    """The number of rows of a grid with so many columns."""
    return -(-len(items) // columns)
