"""The page examples/guides/compare.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from composer.comparing.file import read_comparison
from composer.comparing.plan import make_plan
from composer.comparing.statistics import fewest_pairs

PAGE = (Path(__file__).parents[2] / "examples/guides/compare.md").read_text(encoding="utf-8")


def test_its_file_is_a_comparison(tmp_path):
    text, _ = re.findall(r"^```yml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "compare.yaml"
    path.write_text(text)
    plan = make_plan(read_comparison(path))
    assert [row.arm.variant for row in plan.rows if row.arm.kind == "variant"] == [
        "late se",
        *(f"{use}, after: {place}" for use in ("eca", "cbam") for place in ("branch", "block")),
    ]
    assert not any(row.reason for row in plan.rows)


def test_its_python_runs(capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert "Interval(mean=0.77" in capsys.readouterr().out


def test_its_table_of_seeds_is_right():
    heads, _, row = re.findall(r"^\| ?(.*?) ?\|$", PAGE, re.MULTILINE)[:3]
    for numbers, seeds in zip(heads.split(" | ")[1:], row.split(" | ")[1:], strict=True):
        first, _, last = numbers.partition(" to ")
        assert {fewest_pairs(one) for one in range(int(first), int(last or first) + 1)} == {int(seeds)}


def test_its_search_is_one():
    _, text = re.findall(r"^```yml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    found = read_comparison(yaml.safe_load(f"base: resnet10\n{text}")).content
    assert found.search is not None
    assert found.search.trials == 8
    assert found.search_seed == 100
