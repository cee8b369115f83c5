"""What the boxes of a page can be coloured by: numbers among the facts of nodes, and numbers that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.dag.host import HostScope
from composer.dag.sketch import Sketch
from composer.draw.picture import Picture, painted
from composer.draw.ramp import RAMP
from composer.draw.values import Scale, Values, scale_of
from composer.draw.view import View
from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.page.schema import FactsData, ModeData, RampData

KIND = "kind"
# Numbers that must be asked for -> the options that do.
_ASKED_FOR = {
    "time": "`--time RUNS` measures it, `--color FILE` reads it from what `composer bench --nodes` wrote",
    **dict.fromkeys(("mean", "std", "zeros", "dead", "gradient"), "`--image PATH` measures it on photographs"),
    "distance": "`--against SOURCE` says from which weights",
}
# Facts of nodes: key, name, words, how they are written, unit, and their name among the facts.
_FACTS = (
    ("parameters", "parameters", "Parameters", "count", " parameters", "parameters"),
    ("macs", "MACs", "Multiply-accumulates", "count", " MACs", "macs"),
    ("memory", "memory", "Bytes per example that are kept for the backward pass", "bytes", "", "memory"),
    ("time", "time", "Measured time of each operation", "seconds", "", "seconds"),
)


def facts_values(facts: Mapping[str, FactsData]) -> list[Values]:
    """The facts of nodes that are numbers, each as values."""
    found = []
    for key, name, words, written, unit, fact in _FACTS:
        numbers: dict[str, Any] = {path: own[fact] for path, own in facts.items() if fact in own}  # type: ignore[literal-required]
        if any(numbers.values()):
            found.append(Values(key, name, words, numbers, written, unit, adds=True, fact=fact))
    return found


def modes_of(networks: Sequence[tuple[View, Mapping[str, FactsData]]], measured: Sequence[Values]) -> list[ModeData]:
    """The modes of a page, from the views and facts of its networks and the values of the first network."""
    several = [(view, {one.key: one for one in facts_values(facts)}) for view, facts in networks]
    found = []
    for key in several[0][1]:
        pairs = [(values[key], view) for view, values in several if key in values]
        found.append(_mode(pairs[0][0], scale_of(pairs)))
    found += [_mode(values, scale_of([(values, several[0][0])])) for values in measured]
    return [one for one in found if one is not None]


def _mode(values: Values, scale: Scale | None) -> ModeData | None:
    if scale is None:
        return None
    found: ModeData = {
        "key": values.key,
        "name": values.name,
        "words": values.words,
        "written": values.written,
        "unit": values.unit,
        "adds": values.adds,
        "least": float(scale.least),
        "most": float(scale.most),
        "log": scale.log,
    }
    if values.fact:
        found["fact"] = values.fact
    else:
        found["numbers"] = {path: _short(number) for path, number in values.numbers.items()}
    if values.tones:
        found["tones"] = dict(values.tones)
    return found


def _short(number: float | None) -> float | None:
    """Five figures, which is more than anybody is shown."""
    return None if number is None else float(f"{number:.5g}")


def ramp_data() -> RampData:
    """The ramp, in a few hundred bytes."""
    light, light_inks, dark, dark_inks = zip(*RAMP, strict=True)
    fills = ("".join(light).replace("#", ""), "".join(dark).replace("#", ""))
    return {"fills": fills, "turns": (light_inks.index("#ffffff"), dark_inks.index("#000000"))}


def chosen_mode(wanted: str | None, modes: Sequence[ModeData], sketch: Sketch) -> str:
    """The mode at the start: the one that is wanted; else of a model of another library the MACs, of others the kind.

    Raises InputError for a mode that the page does not have.
    """
    keys = [KIND, *(mode["key"] for mode in modes)]
    if wanted is None:
        return "macs" if isinstance(sketch.root, HostScope) and "macs" in keys else KIND
    if wanted not in keys:
        text = f"nothing here can be coloured by `{wanted}`"
        help = (_ASKED_FOR[wanted],) if wanted in _ASKED_FOR else did_you_mean(wanted, [*keys, *_ASKED_FOR])
        raise InputError(Diagnostic("colour", text, label=one_of(keys), help=help))
    return wanted


def in_colours(
    picture: Picture, key: str, modes: Sequence[ModeData], facts: Mapping[str, FactsData], measured: Sequence[Values]
) -> Picture:
    """A picture of the first network of a page, with its facts, in the colours of a mode, or of kinds."""
    mode = next((one for one in modes if one["key"] == key), None)
    if mode is None:
        return picture
    values = next(one for one in (*facts_values(facts), *measured) if one.key == key)
    return painted(picture, values, Scale(mode["least"], mode["most"], mode["log"]))
