"""Writes a comparison into a folder: the report, the tables, and the specs to run it again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from composer.comparing.costs import Row
from composer.comparing.findings import findings
from composer.comparing.plan import Plan
from composer.comparing.report import report
from composer.comparing.results import Results
from composer.comparing.table import flat
from composer.files import staged
from composer.lines import csv_text
from composer.paths import stem_of
from composer.spec import zoo
from composer.spec.dump import dump
from composer.spec.training import settle_training

REPORT, NETWORKS, PLAN, SPECS = "report.html", "networks.csv", "plan.json", "specs"
RESULTS, RUNS, CURVES, COMPARISONS = "results.json", "runs.csv", "curves.csv", "comparisons.csv"


def write(plan: Plan, folder: Path, *, force: bool = False) -> list[Path]:
    """Write report.html, networks.csv, plan.json and a spec for each network, all or none; returns their paths.

    With `force`, specs of the report that is replaced are removed. Raises InputError for files that exist, without
    `force`, and for a folder that cannot be written.
    """
    texts = _texts(plan)
    old = [name for name in _specs_of(folder) if f"{SPECS}/{name}" not in texts] if force else []
    written = write_texts(folder, texts, force=force)
    for name in old:
        (folder / SPECS / name).unlink(missing_ok=True)
    return written


def _specs_of(folder: Path) -> list[str]:
    """The files of specs that an earlier report wrote: others in that folder are somebody's own."""
    try:
        found = json.loads((folder / PLAN).read_text(encoding="utf-8"))["specs"]
        return [name for name in found if re.fullmatch(r"[^/\\]+\.yaml", name)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_results(results: Results, folder: Path) -> list[Path]:
    """Write the same with what the runs show, and runs.csv, curves.csv, comparisons.csv and results.json.

    Replaces what an earlier run wrote. Raises InputError for a folder that cannot be written.
    """
    tables = {RUNS: results.runs(), CURVES: results.curves(), COMPARISONS: results.comparisons()}
    texts = {
        **{name: f"{table_text(rows)}\n" for name, rows in tables.items()},
        RESULTS: _json(results.to_json()),
        **_texts(results.plan, findings(results)),
    }
    return write_texts(folder, texts, force=True)


def _texts(plan: Plan, parts: Sequence[str] = ()) -> dict[str, str]:
    specs = spec_texts(plan)
    return {
        **{f"{SPECS}/{name}": text for name, text in specs.items()},
        NETWORKS: f"{table_text(flat(plan))}\n",
        PLAN: _json({**plan.to_json(), "specs": [*specs]}),
        REPORT: report(plan, specs, parts),
    }


def _json(value: Any) -> str:
    return f"{json.dumps(value, indent=1, ensure_ascii=False)}\n"


def write_texts(folder: Path, texts: Mapping[str, str], *, force: bool) -> list[Path]:
    """Write texts into a folder, by their relative paths: all or none. Raises InputError."""
    targets = [folder / name for name in texts]
    with staged(targets, force=force) as paths:
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8")
    return targets


def spec_names(plan: Plan) -> dict[tuple[str, str], str]:
    """(backbone, variant) -> the name of its spec's file, each once."""
    found: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for row in plan.rows:
        if row.graph is None:
            continue
        words = [row.arm.backbone, *([] if row.arm.kind == "plain" else [row.arm.variant])]
        stem = re.sub("_+", "_", stem_of(" ".join(words)))[:100].strip("_")
        name = next(one for one in chain([stem], (f"{stem}_{number}" for number in count(2))) if one not in taken)
        taken.add(name)
        found[row.arm.key] = f"{name}.yaml"
    return found


def spec_texts(plan: Plan) -> dict[str, str]:
    """The name of each spec's file -> its text."""
    named = spec_names(plan)
    return {named[row.arm.key]: dump(spec_of(plan, row)) for row in plan.rows if row.graph is not None}


def spec_of(plan: Plan, row: Row) -> dict[str, Any]:
    """A composed network as a spec that stands alone: with a reference to the zoo or a library, or else written out."""
    assert row.graph is not None, "a network that composes"
    written = dict(row.arm.document.plain())
    name = str(written["backbone"])
    if zoo.find(name) is None and (name.endswith((".yaml", ".yml")) or row.spec.source is None):
        # A path of the comparison's own folder; written out as it was fitted to the data, for whoever writes an input
        # keeps it.
        weights = {key: one for key, one in row.spec.to_mapping().items() if key == "weights"}
        written = {**row.graph.written(), **weights}
    recipe = settle_training(row.spec.files)
    if recipe.texts:
        # Whole, for it may begin with a file of the comparison's own folder.
        written["train"] = recipe.recipe.to_mapping()
    written["name"] = f"{plan.file.name} {plan.label(row.arm.backbone, row.arm.variant)}"
    return written


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with equal keys as CSV, under a line of keys."""
    return csv_text([*rows[0]], [["" if one is None else one for one in row.values()] for row in rows]) if rows else ""
