"""Each cell of examples/tables/sources.md: a verb with a kind of source works, or refuses with its sentence."""

from __future__ import annotations

import pytest

from composer.cli.app import VERBS
from tests.sources.matrix import COMMANDS, SLOW, SOURCES, TABLE, WITHOUT, Cell, prepare, ran, sentence, words, written


def test_the_table_has_every_verb():
    assert {verb for verb, _ in written(TABLE.read_text())} == set(COMMANDS)
    assert {verb.split()[0] for verb in COMMANDS} == set(VERBS) - set(WITHOUT)
    assert all("bug in composer" not in text for text in written(TABLE.read_text()).values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("onnxscript")
    pytest.importorskip("timm")
    place = tmp_path_factory.mktemp("sources")
    return place, prepare(place)


@pytest.mark.parametrize("source", SOURCES)
def test_quick_cells_say_what_the_table_says(run, folder, source, monkeypatch):
    place, nets = folder
    monkeypatch.chdir(place)
    said = written(TABLE.read_text())
    for verb in COMMANDS:
        # A refusal is quick, whatever the verb does otherwise.
        if verb in SLOW and not said[verb, source].startswith("`net."):
            continue
        result = run(*words(place, verb, source, nets[source]))
        cell = Cell(result.code, result.err)
        assert (sentence(cell) if cell.code else "") == said[verb, source], verb


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("verb", SLOW)
def test_slow_cells_say_what_the_table_says(folder, verb, source):
    place, nets = folder
    cell = ran(place, verb, source, nets[source])
    assert (sentence(cell) if cell.code else "") == written(TABLE.read_text())[verb, source]
