"""Mechanisms in formats: each cell of examples/tables/export.md is what an export finds today."""

from __future__ import annotations

from pathlib import Path

import pytest

import composer
from composer.exporting.format import FORMATS
from tests.export import table
from tests.export.cells import NAMES, cell_of, model_of

KEPT = table.read()
TABLE = Path(__file__).parents[2] / "examples/tables/export.md"


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_cell(name, format):
    if format not in KEPT.get(name, {}):
        pytest.skip(f"NOT MEASURED: {name} in {format}")
    try:
        FORMATS[format].require()
    except composer.UnavailableError as error:
        pytest.skip(f"NOT INSTALLED: {error}")
    kept, found = KEPT[name][format], cell_of(model_of(name), format)
    assert (found.status, found.varying) == (kept.status, kept.varying), found.said
    if kept.difference is not None:
        assert found.difference <= max(1e-5, 10 * kept.difference)


def test_the_table_is_of_what_was_measured():
    assert TABLE.read_text(encoding="utf-8") == "\n".join([*table.lines(KEPT, table.versions()), ""])


def test_what_was_measured_is_of_mechanisms_and_formats():
    assert set(KEPT) <= set(NAMES)
    assert {format for row in KEPT.values() for format in row} <= set(FORMATS)
