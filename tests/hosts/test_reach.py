"""What the reach table says holds: a few rows in each run, which take turns; all of them are slow."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.hosts.reach import aspects, lines, sign
from tests.hosts.reach_checks import NO, NONE, YES, Fresh, Result, examine, relative_loss
from tests.hosts.reach_models import Subject, subjects

SUBJECTS = subjects()
# Rows that take about a second.
QUICK = [
    one
    for one in SUBJECTS
    if one.library == "timm"
    and one.name in ("byobnet", "convnext", "resnet", "resnetv2", "senet", "vision_transformer")
]
TODAY = datetime.date.today().toordinal()
TABLE = Path(__file__).parents[2] / "examples" / "tables" / "reach.md"
KNOWN = TABLE.read_text()


@pytest.fixture(scope="module")
def fresh() -> Iterator[Fresh]:
    process = Fresh()
    yield process
    process.close()


def check(subject: Subject, fresh: Fresh) -> None:
    """A row holds but for what the table says."""
    result = examine(subject, fresh)
    failing = {name: cell for name, cell in result.cells.items() if cell.startswith(NO)}
    section = KNOWN.partition(f"\n## {subject.library}\n")[2].partition("\n## ")[0]
    told = [line for line in section.splitlines() if line.startswith(f"- {subject.name}, ")]
    assert all(any(cell[2:][:300] in line for line in told) for cell in failing.values()), failing


@pytest.mark.parametrize("subject", [QUICK[(TODAY + turn) % len(QUICK)] for turn in range(2)], ids=lambda one: one.name)
def test_a_row_of_the_table_holds(subject: Subject, fresh: Fresh) -> None:
    check(subject, fresh)


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda one: f"{one.library}-{one.name}")
def test_every_row_of_the_table_holds(subject: Subject, fresh: Fresh) -> None:
    check(subject, fresh)


def test_the_loss_sees_numbers_whose_squares_are_too_small() -> None:
    small = torch.full((2, 3), 1e-28, requires_grad=True)
    relative_loss([small.detach() * 2, small]).backward()
    assert small.grad is not None
    assert bool((small.grad > 0).all())
    assert float(relative_loss([torch.zeros(2)])) == 0


def test_the_table_has_a_row_for_every_model() -> None:
    for subject in SUBJECTS:
        assert f"\n| {subject.name}" in KNOWN.partition(f"\n## {subject.library}\n")[2], subject.name


def test_a_cell_of_a_mechanism_is_three_aspects_and_totals_leave_out_what_does_not_apply() -> None:
    cells = dict.fromkeys(aspects(), YES)
    one = SUBJECTS[0]
    without = {name: f"{NONE} no map" for name in cells if name.startswith("spatial gate")}
    failing = {"kernel: trains": f"{NO} every gradient is zero"}
    results = [Result({**cells, **without}), Result({**cells, **failing})]
    assert [sign(results[0], name) for name in ("spatial gate", "kernel")] == [NONE, YES]
    assert [sign(results[1], name) for name in ("spatial gate", "kernel")] == [YES, NO]
    text = "\n".join(lines([(one, result) for result in results]))
    assert "| spatial gate: equal | 100.0 % of 1 |" in text
    assert "| kernel: trains | 50.0 % of 2 |" in text
    assert f"- {one.name}, kernel (trains): every gradient is zero" in text
