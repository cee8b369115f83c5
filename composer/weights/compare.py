"""Which tensors of a checkpoint fit a network, and whether they are enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from composer.amounts import plural
from composer.errors import Diagnostic, WeightsError, one_of
from composer.load_report import Head, LoadReport, Shape, some_unequal
from composer.weights.checkpoint import Checkpoint
from composer.weights.fit import Fitted
from composer.weights.wanted import COUNTER, Wanted

Require = Literal["all", "backbone", "any"]


def compare(fitted: Fitted, wanted: Wanted, checkpoint: Checkpoint) -> LoadReport:
    """The report of what would happen to each tensor."""
    found = {name: tuple(tensor.shape) for name, tensor in fitted.tensors.items()}
    own, inserted = wanted.own, wanted.inserted
    foreign = [name for name in found if name not in own]
    # A rule replaced the backbone's node: the name is the same, the shape is not.
    displaced = [
        name
        for name in own
        if name in inserted and name in found and found[name] != own[name] and wanted.backbone.get(name) == found[name]
    ]
    misshapen = {
        name: (found[name], own[name])
        for name in own
        if name in found and found[name] != own[name] and name not in displaced
    }
    heads = _heads(misshapen, found, wanted)
    of_heads = {name for head in heads for name in wanted.heads.get(head.path, ())}
    absent = [name for name in own if name not in found and not name.endswith(COUNTER)]
    backbone = wanted.backbone if foreign else {}
    return LoadReport(
        loaded=tuple(name for name in own if found.get(name) == own[name] and name not in of_heads),
        inserted=tuple(name for name in own if name in inserted and (name not in found or name in displaced)),
        added=tuple(name for name in absent if name in wanted.added and name not in of_heads),
        missing=tuple(name for name in absent if name not in {*inserted, *wanted.added, *of_heads}),
        unexpected=tuple(name for name in foreign if name not in backbone),
        left_out=(*(name for name in foreign if name in backbone), *displaced, *fitted.dropped),
        misshapen={name: shapes for name, shapes in misshapen.items() if name not in of_heads},
        heads=tuple(heads),
        source=checkpoint.name,
        entry=fitted.entry,
        prefix=fitted.prefix,
        keys=fitted.keys,
        notes=fitted.notes,
        left_over=fitted.left_over,
        computed=fitted.computed,
        remarks=fitted.remarks,
    )


def _heads(misshapen: Mapping[str, tuple[Shape, Shape]], found: Mapping[str, Shape], wanted: Wanted) -> list[Head]:
    """The classifiers that have another number of classes in the file, or that the file lacks."""
    known = {path: names for path, names in wanted.heads.items() if names}
    if not any(name in found for names in known.values() for name in names):
        return [Head(path, None, wanted.own[names[0]][0]) for path, names in known.items()]
    heads = []
    for path, names in known.items():
        wrong = [misshapen[name] for name in names if name in misshapen]
        alike = all(len(theirs) == len(ours) > 0 and theirs[1:] == ours[1:] for theirs, ours in wrong)
        classes = {(theirs[0], ours[0]) for theirs, ours in wrong} if alike else set()
        if len(classes) == 1:
            heads.append(Head(path, *classes.pop()))
    return heads


def require_fit(report: LoadReport, require: Require, name: str, *, by_order: bool = False) -> None:
    """Raises WeightsError, with every name that does not fit, if the report does not meet `require`.

    name  the network's, as messages write it
    """
    if require == "any" and report.loaded:
        return
    missing, unexpected = list(report.missing), list(report.unexpected)
    if require == "all":
        missing += (*report.inserted, *report.added)
        unexpected += (*report.left_out, *report.left_over)
    lacking = f"{plural(len(missing), 'tensor')} that {'is' if len(missing) == 1 else 'are'} not in it"
    problems = [
        (f"the network has {lacking}: {one_of(missing, 6)}", missing),
        (f"it has {plural(len(unexpected), 'tensor')} that the network has not: {one_of(unexpected, 6)}", unexpected),
        (f"shapes differ: {some_unequal(report.misshapen)}", report.misshapen),
        *((str(head).partition(";")[0], [head]) for head in report.heads if require == "all"),
    ]
    found = [text for text, names in problems if names]
    if not found and report.loaded:
        return
    help = []
    if report.loaded:
        help.append("to copy what fits and leave the rest, load with --require any (in Python, require='any')")
    elif not by_order:
        help.append("if only the names differ, give --keys a key map, or load with --match order")
    place = "".join(
        (f", entry `{report.entry}`" if report.entry else "", f", without `{report.prefix}`" if report.prefix else "")
    )
    under = f" (names by the key map `{report.keys}`)" if report.keys else ""
    fit = "do not fit" if report.loaded else "have nothing that fits"
    text = f"the weights in {report.source}{place}{under} {fit} `{name}`; nothing was loaded"
    raise WeightsError(Diagnostic("weights-fit", text, help=(*found, *report.remarks, *help)))
