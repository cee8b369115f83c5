"""Colours of pictures: light, dark, and plain for papers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from composer.draw.text import KINDS, PRINT_KINDS, PRINT_SIZE, USUAL

if TYPE_CHECKING:
    from composer.draw.view import Box

FONT = "Helvetica, Arial, 'Liberation Sans', Arimo, 'Nimbus Sans', sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, monospace"

# Group in the legend, in its order -> kinds of the registry with the same colour.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "convolution": ("conv",),
    "linear": ("linear",),
    "normalisation": ("norm",),
    "activation": ("activation",),
    "pooling": ("pool",),
    "merge": ("merge",),
    "other": ("shape", "pad", "token", "parameter", "other"),
    "closed block": ("block",),
    "attention": ("attention",),
}
GROUP_OF = {kind: group for group, kinds in GROUPS.items() for kind in kinds}


@dataclass(frozen=True)
class Theme:
    """Colours of the paper, words, wires and frames, and a fill and an outline per group of boxes.

    `inserted` is for what attention rules inserted, `helper` for operations around it, `failed` for nodes with
    mistakes.
    """

    paper: str
    ink: str
    faint: str
    wire: str
    frame: tuple[str, str]
    groups: Mapping[str, tuple[str, str]]
    inserted: tuple[str, str]
    helper: tuple[str, str]
    failed: tuple[str, str]
    on_badge: str
    inserted_width: float = 1.6


LIGHT = Theme(
    paper="#ffffff",
    ink="#1c2330",
    faint="#525b69",
    wire="#6b7585",
    frame=("#f4f6f9", "#c3cad4"),
    groups={
        "convolution": ("#dbe8fb", "#6a94cf"),
        "linear": ("#d9edf0", "#5d9da8"),
        "normalisation": ("#eef0f3", "#a3abb7"),
        "activation": ("#fbf3d2", "#c5a94a"),
        "pooling": ("#e6e1f5", "#8f80c2"),
        "merge": ("#ddf0de", "#6fa873"),
        "other": ("#f3f3f3", "#a8a8a8"),
        "closed block": ("#ffffff", "#7d8796"),
        "attention": ("#fbe6da", "#c98a63"),
    },
    inserted=("#ffd3b6", "#c2410c"),
    helper=("#fff1e7", "#c2410c"),
    failed=("#ffdcdc", "#c81e1e"),
    on_badge="#ffffff",
)
DARK = Theme(
    paper="#12161d",
    ink="#e6eaf0",
    faint="#a5b0bf",
    wire="#8490a2",
    frame=("#1a2029", "#3d4756"),
    groups={
        "convolution": ("#1f3354", "#5f8fd6"),
        "linear": ("#173a40", "#4f9aa6"),
        "normalisation": ("#2a303a", "#6d7888"),
        "activation": ("#3d3614", "#b79b3b"),
        "pooling": ("#2f2850", "#8d7ed0"),
        "merge": ("#1d3a21", "#62a368"),
        "other": ("#2b2b2e", "#76767c"),
        "closed block": ("#222a35", "#8a95a6"),
        "attention": ("#43301f", "#b3794f"),
    },
    inserted=("#652c0c", "#ff8a4c"),
    helper=("#33231a", "#ff8a4c"),
    failed=("#521b1f", "#ff6b6b"),
    on_badge="#1a1006",
)
PAPER = replace(
    LIGHT,
    ink="#000000",
    faint="#404040",
    wire="#303030",
    frame=("#f7f7f7", "#8c8c8c"),
    groups=dict.fromkeys(GROUPS, ("#ffffff", "#404040")),
    inserted=("#ffd9bd", "#b33a00"),
    helper=("#ffffff", "#b33a00"),
    inserted_width=2.0,
)
FIXED = {"light": LIGHT, "dark": DARK, "paper": PAPER}
LINES = ".cg .end{text-anchor:end}.cg .mid{text-anchor:middle}.cg path{fill:none}.cg .wire{stroke-width:1.2}"


def style(theme: str) -> str:
    """The style sheet of a theme; `auto` follows the reader's preference, light or dark.

    Colours are written per class, because tools that make PNG and PDF do not know CSS variables.
    """
    if theme == "auto":
        return f"{sheet(LIGHT)}@media (prefers-color-scheme: dark){{{_colours(DARK)}}}"
    return sheet(FIXED[theme])


def sheet(theme: Theme) -> str:
    """Fonts, lines and the theme's colours."""
    fixed = _fonts(USUAL, KINDS) + f".cg .mono{{font-family:{MONO};font-size:10px;white-space:pre}}"
    return fixed + LINES + _colours(theme)


def print_sheet(theme: str) -> str:
    """The style sheet of a printed figure: `light`, `dark` or `paper`; `auto` is `paper`."""
    return _fonts(PRINT_SIZE, PRINT_KINDS) + LINES + _colours(FIXED["paper" if theme == "auto" else theme])


def _fonts(usual: int, kinds: Mapping[str, tuple[int, bool]]) -> str:
    sizes = (
        f".cg .{kind}{{font-size:{size}px{';font-weight:bold' if bold else ''}}}"
        for kind, (size, bold) in kinds.items()
    )
    return f".cg text{{font-family:{FONT};font-size:{usual}px}}" + "".join(sizes)


def _colours(theme: Theme) -> str:
    rules = [f".cg .{name}>.box{{fill:{fill};stroke:{line}}}" for name, (fill, line) in colours(theme).items()]
    return "".join(
        [
            f".cg .paper{{fill:{theme.paper}}}",
            f".cg text{{fill:{theme.ink}}}.cg .faint,.cg .label{{fill:{theme.faint}}}",
            f".cg .wire{{stroke:{theme.wire}}}.cg .head{{fill:{theme.wire}}}",
            *rules,
            f".cg .inserted>.box,.cg .inserted-frame>.box{{stroke-width:{theme.inserted_width}}}",
            ".cg .failed>.box{stroke-width:1.8}",
            ".cg .helper>.box,.cg .unreached>.box{stroke-dasharray:4 3}",
            f".cg .pill{{fill:{theme.inserted[1]}}}.cg .on{{fill:{theme.on_badge}}}",
            f".cg .alarm{{fill:{theme.failed[1]}}}",
        ]
    )


def class_of_group(group: str) -> str:
    """The class of boxes of a group."""
    return f"k-{group.replace(' ', '-')}"


def class_of(box: Box) -> str:
    """The class of a box in the style sheet."""
    if box.state == "unreached":
        return "unreached"
    if box.state == "failed" or box.problem is not None:
        return "failed"
    if box.rule is not None:
        return "helper" if box.helper else "inserted" if box.inner is None else "inserted-frame"
    if box.inner is not None:
        return "frame"
    return "holds" if box.holds else class_of_group(GROUP_OF.get(box.kind, "other"))


def colours(theme: Theme) -> dict[str, tuple[str, str]]:
    """Class -> fill and outline."""
    found = {class_of_group(group): pair for group, pair in theme.groups.items()}
    special = {"frame": theme.frame, "helper": theme.helper, "inserted": theme.inserted, "failed": theme.failed}
    outlined = {
        "unreached": (theme.paper, theme.faint),
        "holds": (theme.groups["closed block"][0], theme.inserted[1]),
        "inserted-frame": (theme.frame[0], theme.inserted[1]),
    }
    return found | special | outlined
