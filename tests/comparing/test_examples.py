"""The comparisons under examples/compare: their files are plans, and their page says what their results hold."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from composer.comparing.file import read_comparison
from composer.comparing.plan import make_plan
from composer.comparing.statistics import fewest_pairs

HERE = Path(__file__).parents[2] / "examples/compare"
TABLES = runpy.run_path(str(HERE / "tables.py"))
FILES = [HERE / f"{name}.yaml" for name in ("gates", "where", "scale", "digits", "fashion_mnist")]
RESULTS = [path for path in sorted((HERE / "results").iterdir()) if (HERE / f"{path.name}.yaml") in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_file_is_a_plan_that_can_show_something(path: Path) -> None:
    # Controls are searched for in tests of their own, and take longer.
    plan = make_plan(read_comparison(path, ["control.wider=false"]))
    assert not any(row.reason for row in plan.rows)
    assert len(plan.file.content.seed_numbers) >= fewest_pairs(len(plan.declared))


def test_its_tables_are_those_of_the_results() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert text == TABLES["filled"](text)
    kinds = {(kind, name) for _, kind, name, _ in TABLES["TABLE"].findall(text)}
    assert kinds >= {("comparisons", folder.name) for folder in RESULTS}


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_its_results_are_small_and_whole(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {"report.html", "comparisons.csv", "runs.csv", "results.json"} <= sizes.keys()
    assert max(sizes.values()) < 300_000
    assert sizes.get("attention.png", 0) < 200_000
    rows = TABLES["read"](folder.name, "runs.csv")
    assert len({row["seed"] for row in rows}) >= 6
    file = read_comparison(HERE / f"{folder.name}.yaml")
    assert {int(row["seed"]) for row in rows} == set(file.content.seed_numbers)
    assert {row["variant"] for row in rows} >= set(file.content.variants)
