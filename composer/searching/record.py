"""What a search writes into its folder: what was declared, a table of its trainings, and the effort in sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.amounts import plural
from composer.comparing.declared import changes, declaration_text, read_declaration
from composer.comparing.plan import Plan
from composer.comparing.write import spec_names, spec_texts, table_text, write_texts
from composer.errors import Diagnostic, InputError
from composer.searching.attempts import NETWORK, Attempt, best_of
from composer.spec.dump import flow

if TYPE_CHECKING:
    from composer.training.data import Data

DECLARATION, TABLE = "search.json", "search.csv"
# The two halves of a search: folders of their trainings.
VARIANTS, CONTROL = "variants", "control"


def _declaration(plan: Plan, data: Data, threads: int) -> dict[str, Any]:
    content = plan.file.content
    assert content.search is not None, "a search is asked for"
    names, texts = spec_names(plan), spec_texts(plan)
    return {
        "networks": {names[row.arm.key]: texts[names[row.arm.key]] for row in plan.rows if row.runs},
        "search": content.search.model_dump(by_alias=True, mode="json"),
        "seed": content.search_seed,
        "seeds": content.seed_numbers,
        "data": {"source": data.name, "fingerprint": data.fingerprint},
        "threads": threads,
    }


def declare_search(plan: Plan, data: Data, folder: Path, threads: int) -> None:
    """Write what is searched before the first training; or check that it is the same. Raises InputError."""
    wanted, path = json.loads(json.dumps(_declaration(plan, data, threads))), folder / DECLARATION
    before = read_declaration(path)
    if before is None:
        others = [one for one in ("declaration.json", "report.html") if (folder.parent / one).exists()]
        if others:
            text = f"`{folder.parent}` holds a comparison without a search: it has `{others[0]}`"
            raise InputError(Diagnostic("comparison", text, help=("choose another folder",)))
        write_texts(folder, {DECLARATION: declaration_text(wanted)}, force=True)
        return
    differing = [key for key in wanted if before.get(key) != wanted[key]]
    if differing:
        text = f"`{folder.parent}` holds another search: {', '.join(f'`{key}`' for key in differing)} differ"
        help = changes(before, wanted, (key for key in differing if key != "networks"))
        raise InputError(Diagnostic("comparison", text, help=(*help, "choose another folder")))


def effort(plan: Plan, attempts: Mapping[str, Sequence[Attempt]], beside: str) -> list[str]:
    """What was searched, and with what effort, in sentences.

    attempts  half of the search -> its trainings
    beside    the name of the plain network
    """
    names = {VARIANTS: "a variant and its recipe", CONTROL: f"the recipe of `{beside}`"}
    found = []
    for half, those in attempts.items():
        epochs, best = sum(len(one.rows) for one in those), best_of(those)
        pruned, failed = sum(one.was_pruned for one in those), sum(not one.is_done for one in those)
        values = flow({path: value for path, value in best.values.items() if path != NETWORK})
        chosen = f"`{best.values[NETWORK]}` with `{values}`" if NETWORK in best.values else f"`{values}`"
        words = [*([f"{pruned} ended early"] if pruned else []), *([f"{failed} failed"] if failed else [])]
        beyond = f" ({', '.join(words)})" if words else ""
        number = f"{plural(len(those), 'training')} of {plural(epochs, 'epoch')} together{beyond}"
        how = f"on seed {plan.file.content.search_seed}, by validation"
        found.append(f"{number} searched {names[half]} {how}, and chose {chosen}: {best.best:.4g}")
    return found


def write_attempts(folder: Path, attempts: Mapping[str, Sequence[Attempt]]) -> None:
    """Write the table of all trainings of a search. Raises InputError."""
    axes = list(dict.fromkeys(axis for those in attempts.values() for one in those for axis in one.values))
    rows = [
        {
            "search": half,
            "training": one.number + 1,
            **{axis: one.values.get(axis) for axis in axes},
            "epochs": len(one.rows),
            "pruned": int(one.was_pruned),
            "validation": one.best if one.is_done else None,
            "status": one.trial.status if one.trial is not None else "",
            "error": one.trial.error if one.trial is not None else "",
        }
        for half, those in attempts.items()
        for one in those
    ]
    write_texts(folder, {TABLE: f"{table_text(rows)}\n"}, force=True)
