"""Where a mechanism goes when nobody says where."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from composer.registry import POSITIONS, ModuleEntry, PlaceRule
from composer.spec.sites import BRANCH, MIXER, SPATIAL_CONV, STAGE

# Attention between positions is for small maps.
_LATE = {"where": "stage == num_stages"}


def default_place(entry: ModuleEntry, sites: Collection[str]) -> PlaceRule:
    """The keys of a rule that place a mechanism in a network with these sites.

    The first of its places whose site the network has; without any, its last, so that the refusal of the rule says
    what is lacking.
    """
    known = default_places(entry)
    return next((place for place in known if _site(place) in sites), known[-1])


def default_places(entry: ModuleEntry) -> Sequence[PlaceRule]:
    """Where a mechanism goes, best first: by its own word, else as is usual for its kind."""
    if entry.places:
        return entry.places
    if entry.replaces:
        everywhere = {"replace": SPATIAL_CONV}
        return ({"replace": MIXER}, {**everywhere, **_LATE}) if entry.kind == "token" else (everywhere,)
    if entry.kind == "token":
        return {"replace": MIXER}, {"after": STAGE, "where": "last"}
    return ({"after": BRANCH},)


def _site(place: PlaceRule) -> str:
    return next(place[position] for position in POSITIONS if position in place)
