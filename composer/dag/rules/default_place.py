"""Where a mechanism goes if the user does not say."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from composer.registry import POSITIONS, ModuleEntry, PlaceRule
from composer.spec.sites import BRANCH, MIXER, SPATIAL_CONV, STAGE

# Attention between positions is costly on large maps, so it goes to the last stage.
_LATE = {"where": "stage == num_stages"}


def default_place(entry: ModuleEntry, sites: Collection[str]) -> PlaceRule:
    """The keys of a rule that places a mechanism in a network with these sites.

    This is the mechanism's first default place whose site the network has. If there is none, the last default place:
    the rule is then refused with a message that names the missing site.
    """
    known = default_places(entry)
    return next((place for place in known if _site(place) in sites), known[-1])


def default_sources(entry: ModuleEntry, place: PlaceRule) -> dict[str, dict[str, str]]:
    """The key of a rule that says where the further tensors of a mechanism come from; nothing if it takes only one, or
    all those of what it replaces."""
    others = () if "replace" in place else entry.tensors[1 : entry.inputs[0]]
    return {"from": dict.fromkeys(others, "./input")} if others else {}


def default_places(entry: ModuleEntry) -> Sequence[PlaceRule]:
    """Default places of a mechanism, the best first: those it declares, or the usual ones of its kind."""
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
