"""Runs the trainings of a scan: places alone, places together, and what was chosen on fresh seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.amounts import plural
from composer.comparing.cluster import Workers
from composer.comparing.cluster import require as require_ray
from composer.comparing.file import ComparisonFile
from composer.comparing.plugins import plugins_of
from composer.comparing.trials import RunJobs, in_turn
from composer.comparing.untested import without_test
from composer.comparing.write import spec_texts, write_texts
from composer.errors import Diagnostic, InputError
from composer.scanning.declared import declare
from composer.scanning.gains import spread
from composer.scanning.page import write_scan
from composer.scanning.places import Ground, ground
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

Tell = Callable[[str], None]
SELECTION, CONFIRM, COMPARISON = "selection", "confirm", "compare.yaml"
# More single places than this are no short scan.
MOST_PLACES = 400


def scan_trained(
    question: Question,
    data: str | Data,
    folder: Path,
    cost: str,
    trainings: Trainings,
    *,
    where: Where | None = None,
    workers: Workers | None = None,
    retry: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> TrainedScan:
    """What training shows of the places of a scan; what the folder has is not trained again.

    question   the rule and the network
    data       as for `composer.train`
    folder     of the scan
    cost       what gains are divided by
    trainings  which
    where      the devices that train
    workers    where several are trained at once; None for one after another, in this process
    retry      run failed trainings again
    say, tell  are told sentences for the user, and how far it is
    Raises what `ground` raises; InputError for data without a test split of its own, for a recipe that ends early, and
    for a folder that holds something else; UnavailableError without the extra `train`.
    """
    from composer.training.trainer import HERE, require

    require()
    if workers is not None:
        require_ray()
    from composer.comparing.api import trained
    from composer.comparing.learning import check_data, check_recipe, fitting_to, is_on_gpu, learner
    from composer.training.data import Data, open_data
    from composer.training.run import Run

    full, short = _with_recipes(question, trainings.epochs)
    if not isinstance(data, Data):
        tell(f"reading {data}")
        data = open_data(data, tell=tell)
    check_data(data)
    base = ground(short, fit=fitting_to(data), tell=tell)
    sites = spread([site for site in base.sites if site.runs], trainings.places)
    if len(sites) > MOST_PLACES:
        text = f"{len(sites)} places fit, and at most {MOST_PLACES} are trained"
        raise InputError(Diagnostic("scan", text, help=("`--places 20` trains 20 of them, evenly spread",)))
    at = [""]

    def told(text: str) -> None:
        at[0] = text
        tell(text)

    where, of_choosing = where or HERE, without_test(data)
    if workers is None:
        every: RunJobs = in_turn
        run = learner(of_choosing, where, allow_code=question.allow_code, tell=lambda text: tell(f"{at[0]}, {text}"))
    else:
        # What runs in another process takes no function of this one with it.
        workers = replace(workers, gpu=is_on_gpu(where))
        every, run = _at_once(workers, base, folder, say), learner(of_choosing, where, allow_code=question.allow_code)
    selection = Selection(short, base, trainings.choosing, cost, folder / SELECTION, run, every, retry, told)
    check_recipe(selection.plan([site.row for site in sites]), data)
    texts = spec_texts(selection.plan([site.row for site in sites]))
    declaration = _declaration(texts, full, data, cost, trainings)
    with Run(folder).alone():
        declare(folder, declaration)
        for sentence in (*data.said, trainings.words(len(sites))):
            say(sentence)
        single = selection.singles(sites)
        found = TrainedScan(full, base, cost, trainings, single, selection.steps(single, trainings.most))
        write_scan(found, folder)
        if found.chosen is None:
            return found
        say(found.choice())
        file = _comparison(full, found.chosen, cost, trainings, folder / CONFIRM)
        options = {"root": question.root, "allow_code": question.allow_code}
        results = trained(
            file,
            data,
            folder / CONFIRM,
            options,
            where=where,
            workers=workers,
            retry=retry,
            say=lambda text: None,
            tell=tell,
        )
        found = replace(found, results=results)
        write_scan(found, folder)
        return found


def _at_once(workers: Workers, ground: Ground, folder: Path, say: Tell) -> RunJobs:
    from composer.comparing.learning import progress_of
    from composer.comparing.parallel import at_once

    plugins = plugins_of(site.row.graph for site in ground.sites if site.row.graph is not None)
    return at_once(workers, folder / SELECTION, threads=1, plugins=plugins, say=say, at=progress_of)


def _with_recipes(question: Question, epochs: int | None) -> tuple[Question, Question]:
    """The question with the whole recipe of its network, and with that of trainings that choose. Raises SpecError."""
    spec = load_spec(question.source, root=question.root, weights=False, allow_code=question.allow_code)
    own = [one for one in question.settings if one.steps[0] == "train"]
    others = [one for one in question.settings if one.steps[0] != "train"]
    length = read_settings({}, [] if epochs is None else [f"train.epochs={epochs}"])
    found = []
    for settings in ([*own], [*own, *length]):
        recipe = settle_training(spec.files, None, settings).recipe.to_mapping()
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
        "networks": dict(texts),
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
