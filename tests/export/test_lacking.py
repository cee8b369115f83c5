"""Operators that a format is said to lack: refused at their node first, and the engine does refuse them."""

from __future__ import annotations

import pytest

import composer
from composer.exporting import lacking
from composer.exporting.format import FORMATS
from tests.export.cells import model_of

# (format, operator) -> a mechanism that calls it.
CALLERS = {("coreml", "unfold"): "aa_conv"}


def test_each_has_a_mechanism_that_calls_it():
    assert set(CALLERS) == {(format, operator) for format, of in lacking.LACKING.items() for operator in of}


@pytest.mark.parametrize(("format", "operator"), CALLERS)
def test_the_node_is_named_before_anything_is_converted(format, operator, tmp_path, monkeypatch):
    monkeypatch.setattr(type(FORMATS[format]), "require", lambda self, **given: None)
    with pytest.raises(composer.InputError) as refused:
        composer.export(model_of(CALLERS[format, operator]), format, tmp_path / f"it{FORMATS[format].ending}")
    assert f"calls `{operator}`" in str(refused.value)
    assert "stage.blocks.1" in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("format", "operator"), CALLERS)
def test_the_engine_still_refuses_it(format, operator, tmp_path, monkeypatch):
    try:
        FORMATS[format].require()
    except composer.UnavailableError as error:
        pytest.skip(f"NOT INSTALLED: {error}")
    monkeypatch.setattr(lacking, "LACKING", {})
    with pytest.raises(composer.ComposerError, match=operator):
        composer.export(model_of(CALLERS[format, operator]), format, tmp_path / f"it{FORMATS[format].ending}")
