"""Colours of a page: those of pictures as CSS variables, light or dark as the system or the reader's switch says."""

from __future__ import annotations

from collections.abc import Mapping

from composer.draw.theme import DARK, LIGHT, MONO, PAPER, Theme, colours, sheet

# Colours of changes; each has a contrast of at least 4.5 to the page's paper.
_LIGHT_CHANGES = {"added": "#116329", "removed": "#b42318", "changed": "#8a5300", "moved": "#1f5fbf"}
_DARK_CHANGES = {"added": "#63d188", "removed": "#ff8a80", "changed": "#f0b429", "moved": "#8ab8ff"}


def page_style(theme: str) -> str:
    """The style sheet of the drawing, with the page's variables; `theme` holds until the reader chooses another.

    The reader's choice is the attribute `data-theme` of the root: `light` or `dark`.
    """
    light, dark = _variables(LIGHT, _LIGHT_CHANGES), _variables(DARK, _DARK_CHANGES)
    first = {"dark": dark, "paper": _variables(PAPER, _LIGHT_CHANGES)}.get(theme, light)
    parts = [_rule(":root", first)]
    if theme == "auto":
        parts.append(f"@media (prefers-color-scheme: dark){{{_rule(':root:not([data-theme=light])', dark)}}}")
    parts += [_rule(":root[data-theme=light]", light), _rule(":root[data-theme=dark]", dark)]
    return "".join([*parts, sheet(_by_variable())])


def _variables(theme: Theme, changes: Mapping[str, str]) -> dict[str, str]:
    found = {
        "color-scheme": "dark" if theme is DARK else "light",
        "--paper": theme.paper,
        "--ink": theme.ink,
        "--faint": theme.faint,
        "--wire": theme.wire,
        "--wash": theme.frame[0],
        "--line": theme.frame[1],
        "--accent": theme.inserted[1],
        "--alarm": theme.failed[1],
        "--on-accent": theme.on_badge,
        "--mono": MONO,
    }
    for name, (fill, outline) in colours(theme).items():
        found |= {f"--{name}": fill, f"--{name}-line": outline}
    return found | {f"--{name}": colour for name, colour in changes.items()}


def _by_variable() -> Theme:
    """A theme whose colours are variables."""
    pairs = {name: (f"var(--{name})", f"var(--{name}-line)") for name in colours(LIGHT)}
    return Theme(
        paper="var(--paper)",
        ink="var(--ink)",
        faint="var(--faint)",
        wire="var(--wire)",
        frame=pairs["frame"],
        groups={group: pairs[f"k-{group.replace(' ', '-')}"] for group in LIGHT.groups},
        inserted=pairs["inserted"],
        helper=pairs["helper"],
        failed=pairs["failed"],
        on_badge="var(--on-accent)",
    )


def _rule(selector: str, values: Mapping[str, str]) -> str:
    return f"{selector}{{{';'.join(f'{name}:{value}' for name, value in values.items())}}}"
