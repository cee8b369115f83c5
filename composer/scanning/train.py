"""Runs the trainings of a scan: places alone, places together, and what was chosen on fresh seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.amounts import plural
from composer.comparing.cluster import Workers
from composer.comparing.file import ComparisonFile
from composer.comparing.results import Results
from composer.comparing.several import every_of, opened, told
from composer.comparing.trials import Tell
from composer.comparing.untested import without_test
from composer.comparing.write import spec_texts, write_texts
from composer.errors import Diagnostic, InputError, SpecError
from composer.scanning.declared import NETWORKS, declare
from composer.scanning.gains import spread
from composer.scanning.page import write_scan
from composer.scanning.places import Ground, Site, ground
from composer.scanning.question import Question
from composer.scanning.selection import Selection, Step
from composer.scanning.trained import TrainedScan, Trainings
from composer.spec.document import Document, Value
from composer.spec.dump import dump
from composer.spec.load import load_spec
from composer.spec.settings import Setting, read_settings
from composer.spec.training import settle_training

if TYPE_CHECKING:
    from composer.training.data import Data
    from composer.training.trainer import Where

SELECTION, CONFIRM, COMPARISON = "selection", "confirm", "compare.yaml"
# More single places than this are no short scan.
MOST_PLACES = 400


@dataclass(frozen=True)
class How:
    """How trainings of a scan are run.

    where      the devices that train; None for this machine's
    workers    where several are trained at once; None for one after another, in this process
    retry      run failed trainings again
    say, tell  are told sentences for the user, and how far it is
    """

    where: Where | None = None
    workers: Workers | None = None
    retry: bool = False
    say: Tell = print
    tell: Tell = lambda text: None


def scan_trained(
    question: Question, data: str | Data, folder: Path, cost: str, trainings: Trainings, how: How
) -> TrainedScan:
    """What training shows of the places of a scan; what the folder has is not trained again.

    question   the rule and the network
    data       as for `composer.train`
    folder     of the scan
    cost       what gains are divided by
    trainings  which
    how        they are run
    Raises what `ground` raises; InputError for data without a test split of its own, for a recipe that ends early, and
    for a folder that holds something else; UnavailableError without the extra `train`, or `sweep` for several at once.
    """
    full, short = _with_recipes(question, trainings.epochs)
    data = opened(data, how.workers, how.tell)
    from composer.comparing.learning import check_recipe, fitting_to
    from composer.training.run import Run

    base = ground(short, fit=fitting_to(data), tell=how.tell)
    sites = _trained_sites(base, trainings)
    selection = _selection(short, base, data, folder / SELECTION, cost, trainings, how)
    plan = selection.plan([site.row for site in sites])
    check_recipe(plan, data)
    declaration = _declaration(spec_texts(plan), full, data, cost, trainings)
    with Run(folder).alone():
        declare(folder, declaration)
        for sentence in (*data.said, trainings.words(len(sites))):
            how.say(sentence)
        single = selection.singles(sites)
        found = TrainedScan(full, base, cost, trainings, single, selection.steps(single, trainings.most))
        write_scan(found, folder)
        if found.chosen is None:
            return found
        how.say(found.choice())
        found = replace(found, results=_confirmed(found, found.chosen, data, folder / CONFIRM, how))
        write_scan(found, folder)
        return found


def _trained_sites(base: Ground, trainings: Trainings) -> list[Site]:
    """The places that are trained. Raises InputError for too many."""
    sites = spread([site for site in base.sites if site.runs], trainings.places)
    if len(sites) > MOST_PLACES:
        text = f"{len(sites)} places fit, and at most {MOST_PLACES} are trained"
        raise InputError(Diagnostic("scan", text, help=("`--places 20` trains 20 of them, evenly spread",)))
    return sites


def _selection(
    question: Question, base: Ground, data: Data, folder: Path, cost: str, trainings: Trainings, how: How
) -> Selection:
    """The trainings that choose, on data without its test split."""
    from composer.comparing.learning import learner
    from composer.training.trainer import HERE

    where, chosen_on = how.where or HERE, without_test(data)
    run, tell = told(
        lambda own: learner(chosen_on, where, allow_code=question.allow_code, tell=own), how.workers, how.tell
    )
    graphs = [site.row.graph for site in base.sites]
    every = every_of(how.workers, graphs, folder, where, threads=1, say=how.say)
    return Selection(question, base, trainings.choosing, cost, folder, run, every, how.retry, tell)


def _confirmed(found: TrainedScan, chosen: Step, data: Data, folder: Path, how: How) -> Results:
    """What fresh seeds show of the places that were chosen."""
    from composer.comparing.api import trained

    question = found.question
    return trained(
        _comparison(question, chosen, found.cost, found.trainings, folder),
        data,
        folder,
        {"root": question.root, "allow_code": question.allow_code},
        where=how.where,
        workers=how.workers,
        retry=how.retry,
        # How many there are was said before.
        say=lambda text: None,
        tell=how.tell,
    )


def _with_recipes(question: Question, epochs: int | None) -> tuple[Question, Question]:
    """The question with the whole recipe of its network, and with that of trainings that choose. Raises SpecError."""
    spec = load_spec(question.source, root=question.root, weights=False, allow_code=question.allow_code)
    own = [one for one in question.settings if one.steps[0] == "train"]
    others = [one for one in question.settings if one.steps[0] != "train"]
    length = read_settings({}, [] if epochs is None else [f"train.epochs={epochs}"])
    found = []
    for settings in ([*own], [*own, *length]):
        training = settle_training(spec.files, None, settings)
        if training.recipe.patience is not None:
            origin = training.origin("patience").written
            text, help = "`patience` ends a training early, and a scan trains all to the full length", ("remove it",)
            raise SpecError(origin.problem("both", text, "no `patience`", help, key=True))
        recipe = training.recipe.to_mapping()
        # The seed of each run is one of the scan's.
        recipe.pop("seed", None)
        train = Document.from_mapping({"train": recipe}, "<recipe>").root.data["train"]
        found.append(replace(question, settings=[*others, Setting(("train",), train)]))
    return found[0], found[1]


def _declaration(
    texts: Mapping[str, str], full: Question, data: Data, cost: str, trainings: Trainings
) -> dict[str, Any]:
    """Everything that must not change between the first training and the last."""
    (recipe,) = [one.value.plain() for one in full.settings if one.steps == ("train",)]
    return {
        NETWORKS: dict(texts),
        "rule": full.rule.plain(),
        "budget": None if full.budget is None else full.budget.plain(),
        "cost": cost,
        "seeds": trainings.choosing,
        "fresh": trainings.reporting,
        "most": trainings.most,
        "train": recipe,
        "data": {"source": data.name, "fingerprint": data.fingerprint},
    }


def _comparison(full: Question, chosen: Step, cost: str, trainings: Trainings, folder: Path) -> ComparisonFile:
    """The comparison of the chosen places with the plain network and one of the same cost, also as a file."""
    name = f"{full.mechanism} at {plural(len(chosen.sites), 'place')}"[:60].strip()
    rule = chosen.row.arm.document.root.data["attention"].data[-1]
    match = "macs" if cost == "macs" else "parameters"
    control = Value({"wider": Value(data=True), "match": Value(match)})
    file = full.comparison({name: rule}, trainings.reporting, control=control)
    written, head = file.document.plain(), "composer compare compare.yaml --data DATA -o FOLDER"
    if full.path is not None:
        home = full.path.parent.resolve()
        written = {**written, "base": os.path.relpath(home / full.base, folder.resolve())}
        head += f" --root {os.path.commonpath([home, folder.resolve()])}"
    write_texts(folder, {COMPARISON: f"# {head}\n{dump(written)}"}, force=True)
    return file
