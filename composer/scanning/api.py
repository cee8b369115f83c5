"""Scans, for Python users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.comparing.costs import COSTS
from composer.comparing.several import workers_of
from composer.comparing.trials import Tell
from composer.errors import Diagnostic, InputError, one_of
from composer.registry import POSITIONS
from composer.scanning.places import cheapest_first, ground, together
from composer.scanning.question import Question
from composer.scanning.scan import Scan
from composer.scanning.train import How, scan_trained
from composer.scanning.trained import FRESH, MOST, SEEDS, TrainedScan, Trainings
from composer.spec.document import Document, Value
from composer.spec.settings import read_settings

if TYPE_CHECKING:
    from composer.training.data import Data
    from composer.training.trainer import Where


def scan(
    source: str | Path,
    rule: Mapping[str, Any],
    data: str | Data | None = None,
    *,
    out: str | Path | None = None,
    budget: Mapping[str, int | str] | None = None,
    cost: str | None = None,
    seeds: int | Sequence[int] = SEEDS,
    fresh: int | Sequence[int] = FRESH,
    places: int | None = None,
    most: int = MOST,
    epochs: int | None = None,
    sets: Iterable[str] = (),
    root: str | Path | None = None,
    allow_code: bool = False,
    where: Where | None = None,
    parallel: int | None = None,
    address: str | None = None,
    retry: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> Scan | TrainedScan:
    """Scan the places of a rule: what its mechanism costs at each by itself and at several together, or what it gains.

    Without data, a Scan: places by cost. With data, a TrainedScan: each place is trained beside the plain network on
    the same seeds, and ranked by its gain on the validation split for its cost; then the best go together while the
    gain grows; then what was chosen is compared with the plain network, and with one of the same cost, on fresh seeds.

    source      the network: a path, a name of the zoo, or a model of a library
    rule        as in a spec: `{"use": "eca"}`, which goes `after: block` unless it says where, with `where` and `with`
    data        what is trained on, as for `composer.train`
    out         with data, the folder of the scan, which a later call goes on with
    budget      what the network may cost with it, such as `{"parameters": "+5%", "macs": 2_000_000_000}`
    cost        by which places are ranked: `parameters`, `macs` or `memory`; by default that of the budget
    seeds       how many seeds choose, or which
    fresh       how many other seeds report what was chosen, or which
    places      so many places are trained, evenly spread over those that fit; by default all
    most        so many places go together at most
    epochs      of the trainings that choose, where they shall be shorter
    sets        `dotted.path=value` settings of `vars`, `input` and `train`
    root        the folder that references may not leave; by default that of the network's file
    allow_code  let a backbone `package.module:factory` run its code
    where       the devices that train
    parallel    train so many at once on this machine, by Ray; None for one after another, in this process
    address     train on this Ray cluster, `HOST:PORT` or `auto`
    retry       run failed trainings again
    say, tell   are told sentences for the user, and how far it is
    Raises SpecError, GraphError and InputError with the mistakes of the network, rule and budget, and if no place fits;
    with data, InputError for data that cannot be used, for data without `out`, and for a folder with another scan;
    UnavailableError without the extra `train`, or `sweep` for several at once.

    >>> found = scan("resnet18", {"use": "se", "after": "block"}, budget={"parameters": "+0.1%"})
    >>> assert isinstance(found, Scan)
    >>> [site.path for site in found.chosen], found.whole.parameters - found.ground.plain.parameters
    (['layer1.0', 'layer1.1', 'layer2.0', 'layer2.1'], 5528)
    """
    if not isinstance(rule, Mapping):
        text = f"the rule is of type `{type(rule).__name__}`"
        raise InputError(Diagnostic("scan", text, label='a mapping, such as `{"use": "eca"}`'))
    given = Document.from_mapping({"rule": rule, "budget": budget or {}}, "<scan>").root.data
    question = Question(
        str(source),
        placed(given["rule"]),
        given["budget"] if budget else None,
        read_settings({}, sets),
        root,
        allow_code,
    )
    if data is None:
        return scan_costs(question, cost, tell=tell)
    if out is None:
        raise InputError(Diagnostic("scan", "what is trained needs a folder", label="out=…"))
    trainings = Trainings(seeds, fresh, places, most, epochs)
    by = cost_of(question, cost)
    how = How(where, workers_of(parallel, address), retry, say, tell)
    return scan_trained(question, data, Path(out), by, trainings, how)


def scan_costs(question: Question, cost: str | None = None, *, tell: Tell = lambda text: None) -> Scan:
    """What a rule costs at each place; arguments and errors are those of `scan`."""
    by = cost_of(question, cost)
    found = ground(question, tell=tell)
    order = cheapest_first(found, by)
    chosen, whole = together(question, found, order, tell)
    return Scan(question, found, by, order, chosen, whole)


def placed(rule: Value) -> Value:
    """The rule, after blocks unless it says where; a mechanism of several tensors gets them where it usually does.

    What stands in for a layer, such as a convolution, goes in place of it.
    """
    from composer import registry
    from composer.dag.rules.default_place import default_place, default_sources

    data = dict(rule.data)
    use = data["use"].data if "use" in data else None
    entry = registry.get_mechanism(use) if isinstance(use, str) else None
    if not any(word in data for word in (*POSITIONS, "remove")):
        place = default_place(entry, ()) if entry is not None and entry.replaces else {"after": "block"}
        data |= {word: Value(site) for word, site in place.items() if word in POSITIONS}
    if entry is not None and "from" not in data:
        place = {word: str(data[word].plain()) for word in POSITIONS if word in data}
        data |= Document.from_mapping(default_sources(entry, place)).root.data
    return Value(data, rule.location)


def cost_of(question: Question, cost: str | None) -> str:
    """The cost by which places are ranked. Raises InputError for one that nobody counts."""
    if cost is None:
        budget = question.budget.data if question.budget is not None else {}
        return next((one for one in COSTS if one in budget), COSTS[0])
    if cost not in COSTS:
        raise InputError(Diagnostic("scan", f"`{cost}` is no cost", label=one_of(COSTS)))
    return cost
