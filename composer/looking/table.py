"""The sites of a network in a table."""

from __future__ import annotations

from typing import Any

from composer.amounts import plural
from composer.looking.gather import Gathered
from composer.looking.plates import Finding, Section, Table
from composer.looking.sites import Site, sites_of

_UNFED = "a norm before it starts at 0 (`zero_init_last`), or its units are dead"


def sites_section(gathered: Gathered) -> Section | None:
    """Where attention is, and what put it there; None for a network without attention."""
    sites = list(sites_of(gathered.model).values())
    if not sites:
        return None
    seen = {one.form.site.path for one in gathered.seen}
    heads = ("site", "mechanism", "kind", "stage", "block", "put there by", "options", "γ")
    silent = [site.path for site in sites if site.path not in seen]
    text = f"{plural(len(sites), 'site')}, in the order they run."
    if any(site.gamma is not None for site in sites):
        text += " γ is how far attention is blended in, of `start: identity`: at 0 the network computes what it did."
    if silent:
        text += f" {len(silent)} of them do not say what their values are: {', '.join(silent[:6])}."
    return Section(
        "Sites",
        text,
        (),
        Table(heads, tuple(map(_row, sites)), ("stage", "block", "γ")),
        [
            Finding(site.path, "its attention is computed, and not used", "γ = 0", True)
            for site in sites
            if site.gamma == 0
        ]
        + [
            Finding(site.path, "only zeros arrive at it", _UNFED, True) for site in sites if site.path in gathered.unfed
        ],
    )


def _row(site: Site) -> tuple[str, ...]:
    options = ", ".join(f"{name}: {value}" for name, value in site.options.items())
    by = "the backbone" if site.rule is None else f"rule {site.rule}"
    gamma = "" if site.gamma is None else f"{site.gamma:.3g}"
    return site.path, site.mechanism, site.kind, _known(site.stage), _known(site.block), by, options, gamma


def _known(value: Any) -> str:
    return "" if value is None else str(value)
