"""The page examples/guides/scan.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "examples/guides/scan.md").read_text(encoding="utf-8")


def test_its_python_runs(capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.rstrip().endswith("'layer4.1']")


def test_its_rows_are_those_of_the_command(run):
    (table,) = re.findall(r"^```\n(#.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    out = run("scan", "resnet18", "--use", "se", "--budget", "parameters=+0.5%").out.splitlines()
    assert [line for line in table.splitlines() if line != "…" and line not in out] == []
