"""Finds our names for a checkpoint's tensors: unchanged, by a key map, or by order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from composer.amounts import plural
from composer.errors import Diagnostic, WeightsError
from composer.weights.checkpoint import Checkpoint
from composer.weights.keys import KeyMap
from composer.weights.leftover import beside, only_computed
from composer.weights.reading import AS_THEY_ARE, Reading
from composer.weights.search import Choice, search, settled
from composer.weights.unwrap import gives_way
from composer.weights.wanted import COUNTER, Wanted


@dataclass(frozen=True)
class Fitted:
    """A checkpoint's tensors under our names.

    entry      of the file, as in Checkpoint
    prefix     of the file, as in Checkpoint
    keys       name of the key map that was used
    notes      what their network has besides weights and ours lacks
    dropped    names in the file that the key map knows and our network lacks
    left_over  names in the file that belong to no backbone
    computed   names in the file whose tensors follow from the network's shape
    sources    our name -> the name in the file
    remarks    how the reading was chosen, where that is not obvious
    """

    tensors: Mapping[str, Tensor]
    entry: str = ""
    prefix: str = ""
    keys: str = ""
    dropped: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def by_name(checkpoint: Checkpoint, wanted: Wanted, choice: Choice) -> Fitted:
    """The tensors under our names: unchanged, or with a prefix removed and a key map applied, whichever fits.

    Raises WeightsError if several readings fit, or if the requested key map gives two tensors the same name.
    """
    reading, others = search(checkpoint, wanted, choice)
    strange = [name for ours, names in reading.names.items() if not wanted.knows(ours) for name in names]
    unplaced = [*strange, *reading.outside, *reading.dropped]
    # If the file does not fill the network, nobody can tell what stands beside the backbone.
    filled = any(reading.names_all(needed) for needed in wanted.needed)
    aside = [*beside(strange, reading, wanted), *reading.outside] if filled else []
    computed = only_computed(unplaced, aside, reading)
    gone = {*computed, *aside}
    kept = [ours for ours, names in reading.names.items() if not gone.issuperset(names)]
    return Fitted(
        {ours: reading.tensor(ours, wanted.own.get(ours)) for ours in kept},
        entry=reading.entry,
        prefix=reading.prefix,
        keys=reading.keys.name,
        dropped=tuple(name for name in reading.dropped if name not in gone),
        left_over=tuple(name for name in aside if name not in computed),
        computed=tuple(computed),
        sources={ours: reading.names[ours][0].removeprefix(reading.prefix) for ours in kept},
        notes=() if wanted.spec is None else tuple(reading.keys.departures(wanted.spec)),
        remarks=tuple(_remarks(reading, choice.keys, others)),
    )


def _remarks(reading: Reading, keys: KeyMap | None, others: tuple[str, ...]) -> Iterator[str]:
    for one in others:
        if gives_way(reading.path):
            yield f"plain weights fit as well: {one}; take them with --entry (in Python, entry=…)"
        else:
            yield f"averaged weights fit as well: {one}; take them with --ema (in Python, ema=True)"
    if keys is None or not keys.where:
        return
    names = [name.removeprefix(reading.prefix) for name in reading.held]
    for start in sorted(reading.keys.partial):
        found = [name for name in names if (match := reading.keys.find(name)) and match[0] == start]
        yield f"`{start}`{keys.where[start]} ends within a name, of {len(found)} tensors such as `{found[0]}`"
    if unused := reading.keys.unused(names):
        what = "entries match" if len(unused) > 1 else "entry matches"
        more = f", … ({len(unused)} in all)" if len(unused) > 8 else ""
        yield f"{len(unused)} {what} nothing in the file: {', '.join(unused[:8])}{more}"


def by_order(checkpoint: Checkpoint, wanted: Wanted, choice: Choice) -> Fitted:
    """The n-th tensor of the file under the n-th name of the plain backbone. Raises WeightsError if they do not fit."""
    name = checkpoint.name
    if not checkpoint.ordered:
        text = f"{name} does not keep its tensors in the order they were saved; safetensors sorts them"
        raise WeightsError(Diagnostic("weights-order", text, help=("load by name, or from a .pt file",)))
    learned = [one for one in wanted.backbone if not one.endswith(COUNTER)]
    found = []
    for entry, held in checkpoint.held.items():
        prefix = choice.prefix or ""
        theirs = [one for one in held if one.startswith(prefix)]
        names = next((names for names in (list(wanted.backbone), learned) if len(names) == len(theirs)), None)
        if names is not None:
            pairs = {ours: (one,) for ours, one in zip(names, theirs, strict=True)}
            found.append(Reading(entry, prefix, AS_THEY_ARE, held, pairs, wanted))
    if not found:
        text = f"{name} has {plural(len(checkpoint.tensors), 'tensor')}, the plain backbone {len(wanted.backbone)}"
        help = ("load by name, or the weights of the same backbone",)
        raise WeightsError(Diagnostic("weights-order", text, help=help))
    reading, others = settled(found, checkpoint)
    tensors = {ours: reading.tensor(ours, None) for ours in reading.names}
    remarks = tuple(_remarks(reading, None, others))
    return Fitted(tensors, reading.entry, reading.prefix, remarks=remarks)
