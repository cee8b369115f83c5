"""The table of mechanisms says what the docstrings and the tests of the contract say."""

from __future__ import annotations

from pathlib import Path

from composer import contract

from .table import lines

HERE = Path(__file__).parents[2]


def test_the_table_is_what_its_command_makes() -> None:
    assert (HERE / "examples/tables/mechanisms.md").read_text() == "\n".join(lines()) + "\n"


def test_the_page_of_plugins_counts_the_checks() -> None:
    assert f"runs the {len(contract.CHECKS)} checks" in (HERE / "examples/guides/plugins.md").read_text()
