"""Views: text, Markdown and CSV, whatever the names hold."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest

import composer
from composer.summary.columns import COLUMNS, size
from composer.summary.names import ranges
from composer.summary.view import ORDERS, deepest

FOLDER = Path(__file__).parent / "texts"
# Lines of the zoo's files may change at any time.
COLUMNS_OF_ZOO = ["op", "count", "output", "parameters", "macs", "memory"]
CASES = {
    "net": ("net.yaml", {}),
    "net_by_macs": ("net.yaml", {"depth": 1, "sort": "macs", "columns": ["count", "macs", "source", "options"]}),
    "cbam_resnet50": ("papers/cbam/resnet50", {"columns": COLUMNS_OF_ZOO}),
    "se_resnet18_deep": (
        {"backbone": "resnet18", "attention": [{"use": "se", "after": "block"}]},
        {"depth": 9, "columns": COLUMNS_OF_ZOO},
    ),
    "vit": ("vit_base_patch16_224", {"columns": COLUMNS_OF_ZOO}),
}
HOSTILE = "[red]<b>`|` \u200b\u2028\ufeff\n=1+1,\"'[/red] 漢字"


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_the_golden_one(case: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Renew with `pytest --renew`, then read the diff."""
    monkeypatch.chdir(FOLDER)
    source, view = CASES[case]
    found, golden = f"{composer.graph(source).summary().view(**view)}\n", FOLDER / f"{case}.txt"
    if request.config.getoption("--renew"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_no_golden_text_without_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES)


@pytest.fixture(scope="module")
def summary():
    return composer.graph("papers/se/resnet50").summary()


def test_it_is_a_frozen_value_that_prints(summary):
    assert str(summary) == repr(summary) == str(summary.view())
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.root.cost.macs = 0


def test_depth(summary):
    assert [line.path for line in summary.view(depth=0).lines()] == ["se_resnet50"]
    assert len(list(summary.view(depth=1).lines())) == 11
    assert deepest(summary.root) == 4
    assert max(len(line.last) for line in summary.view(depth=99).lines()) == 4
    # As many as a page holds.
    assert summary.view().depth == 2


@pytest.mark.parametrize("order", ["parameters", "macs", "memory"])
def test_sorting_puts_the_largest_first_below_each_parent(summary, order):
    for parent, _ in zip(summary.view(sort=order).lines(), range(50), strict=False):
        below = [line.row for line in summary.view(sort=order, depth=9).lines() if _is_child(line, parent)]
        values = [getattr(row.cost, order) for row in below]
        assert values == sorted(values, reverse=True)
        assert sorted(row.path for row in below) == sorted(row.path for row in parent.row.rows)


def _is_child(line, parent):
    return len(line.last) == len(parent.last) + 1 and any(line.row is row for row in parent.row.rows)


def test_unknown_names_are_answered(summary):
    with pytest.raises(composer.InputError, match="did you mean `macs`"):
        summary.view(sort="mac")
    with pytest.raises(composer.InputError, match="unknown column `maks`"):
        summary.view(columns=["op", "maks"])


def test_csv_is_read_back(summary):
    view = summary.view(depth=9, columns=list(COLUMNS))
    rows = list(csv.DictReader(io.StringIO(view.csv())))
    assert list(rows[0]) == ["node", "depth", *COLUMNS]
    assert [int(row["parameters"]) for row in rows] == [line.row.cost.parameters for line in view.lines()]
    assert int(rows[0]["memory"]) == summary.cost.memory
    assert rows[0] | {"node": "se_resnet50", "depth": "0"} == rows[0]
    assert "layer1.1-2.se" in [row["node"] for row in rows]
    top = [row for row in rows if row["depth"] == "1"]
    assert sum(int(row["macs"]) for row in top) == int(rows[0]["macs"])


def test_markdown_has_as_many_cells_in_each_line(summary):
    rows, rules = summary.view(depth=9).markdown().split("\n\n")
    assert {cells(line) for line in rows.splitlines()} == {8}
    assert {cells(line) for line in rules.splitlines()} == {6}
    assert "| `se` | `after branch` | 16 | +2,530,992, +9.90 % |" in rules


def cells(line: str) -> int:
    """Cells of a line of GitHub's Markdown, where a backslash takes a bar its meaning."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_json_holds_everything(summary):
    found = json.loads(json.dumps(summary.to_json()))
    assert found["parameters"] == sum(row["parameters"] for row in found["rows"]) == 28_088_024
    assert found["without_attention"]["parameters"] == 25_557_032
    assert found["rules"][0]["memory"] == found["memory"] - found["without_attention"]["memory"]
    layer1 = next(row for row in found["rows"] if row["path"] == "layer1")
    assert layer1["rows"][1]["names"] == ["1", "2"]
    assert layer1["rows"][0]["rows"][0]["options"] == {"out_channels": 64, "kernel_size": 1}
    assert layer1["output"] == [256, 56, 56]


def test_hostile_names_stay_in_their_cells():
    spec = {
        "name": HOSTILE,
        "input": [3, 8, 8],
        "nodes": {
            "a": {"op": "conv2d", "out_channels": 3, "kernel_size": 1},
            "shift": {"op": "rearrange", "pattern": "b c h w -> b  h w c"},
        },
        "outputs": {HOSTILE: "shift"},
        "attention": [{"use": "se", "after": "[aA]"}],
    }
    summary = composer.graph(spec).summary()
    view = summary.view(columns=["op", "options"])
    text = str(view)
    assert text.count("\n") == 13
    assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert "[red]<b>`|` " in text
    rows = list(csv.reader(io.StringIO(view.csv())))
    assert rows[1][0] == HOSTILE
    assert {len(row) for row in rows} == {4}
    table, rules = view.markdown().split("\n\n")
    assert {cells(line) for line in table.splitlines()} == {3}
    assert "``[red]<b>`\\|`" in table
    assert "`after [aA]`" in rules
    assert json.loads(json.dumps(summary.to_json()))["name"] == HOSTILE


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a"], "a"),
        (["0", "1", "2"], "0-2"),
        (["0", "2", "4"], "0, 2, 4"),
        (["0", "2", "4", "6", "8", "10"], "0, 2, …, 10"),
        (["b1", "b2", "c3"], "b1-2, c3"),
        (["01", "02"], "01-2"),
        (["conv", "conv_2", "conv_3"], "conv, conv_2-3"),
        (["x" + "9" * 30, "y"], "x" + "9" * 30 + ", y"),
    ],
)
def test_ranges(names, text):
    assert ranges(names) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.00 KiB"), (2**50, "1,024.00 TiB"), (-(2**20), "-1.00 MiB"), (None, "?")],
)
def test_sizes(bytes_, text):
    assert size(bytes_) == text


def test_there_is_a_column_for_every_order():
    assert set(ORDERS) - {"order"} <= set(COLUMNS)
