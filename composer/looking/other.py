"""Attention values of no known form: their shapes and numbers."""

from __future__ import annotations

from composer.looking.forms import Other
from composer.looking.gather import Gathered
from composer.looking.plates import Finding, Section, Table


def other_section(gathered: Gathered) -> Section | None:
    """The values that no other section shows; None if there are none."""
    found = gathered.of(Other)
    if not found:
        return None
    heads = ("site", "mechanism", "shape", "mean", "from", "to", "which")
    rows = tuple((one.site.path, one.site.mechanism, _shape(one), *_numbers(one), one.reason) for one in found)
    broken = [one for one in found if one.values.numel() and not one.values.isfinite().all()]
    return Section(
        "Other values",
        "Attention whose values have another form than its kind has as a rule: listed, not drawn.",
        (),
        Table(heads, rows, heads[3:6]),
        [Finding(one.site.path, "its attention holds values that are not finite", "", True) for one in broken],
    )


def _shape(one: Other) -> str:
    return "×".join(map(str, one.values.shape))


def _numbers(one: Other) -> tuple[str, ...]:
    finite = one.values[one.values.isfinite()]
    if not finite.numel():
        return "–", "–", "–"
    return tuple(f"{number:.4g}" for number in (float(finite.mean()), float(finite.min()), float(finite.max())))
