"""Numbers of nodes in the JSON of Model Explorer."""

from __future__ import annotations

import json

import pytest

from composer.errors import InputError
from composer.values.node_data import read_node_data

PATHS = ["conv1", "layer1", "layer1.0", "fc"]


@pytest.fixture
def read(tmp_path):
    def reader(data, name="net"):
        file = tmp_path / "mine.json"
        file.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return read_node_data(file, name, PATHS)

    return reader


def test_both_forms_are_the_same(read):
    results = {"results": {"conv1": {"value": 0.5}, "fc": 2}}
    for data in (results, {"net": results}, {"other": results}, {"other": {"results": {}}, "net": results}):
        found = read(data)
        assert (found.key, found.numbers, found.tones) == ("mine", {"conv1": 0.5, "fc": 2.0}, {})


def test_what_is_not_finite_is_not_known(read):
    found = read('{"results": {"conv1": {"value": NaN}, "fc": {"value": -Infinity}, "layer1": {"value": null}}}')
    assert found.numbers == {"conv1": None, "fc": None, "layer1": None}


def test_colours_of_results_thresholds_and_gradients(read):
    own = {"conv1": {"value": 1, "bgColor": "red", "textColor": "#fff"}, "fc": {"value": 3, "bgColor": "#000080"}}
    assert read({"results": own}).tones == {"conv1": ("#ff0000", "#ffffff"), "fc": ("#000080", "#ffffff")}
    plain = {"conv1": {"value": 1}, "layer1": {"value": 2}, "fc": {"value": 3}}
    steps = [{"value": 2, "bgColor": "yellow"}, {"value": 1.5, "bgColor": "white"}]
    assert read({"results": plain, "thresholds": steps}).tones == {
        "conv1": ("#ffffff", "#000000"),
        "layer1": ("#ffff00", "#000000"),
    }
    stops = [{"stop": 0, "bgColor": "black"}, {"stop": 1, "bgColor": "rgb(200, 100, 0)"}]
    fills = {path: fill for path, (fill, _) in read({"results": plain, "gradient": stops}).tones.items()}
    assert fills == {"conv1": "#000000", "layer1": "#643200", "fc": "#c86400"}


def test_every_wrong_result_is_said_at_once(read):
    with pytest.raises(InputError) as caught:
        read({"results": {"conv_1": {"value": 1}, "layer1.00": {"value": 1}, "fc": {"value": "much"}, "conv1": True}})
    text = str(caught.value)
    assert text.count("mine.json`: ") == 4
    assert "has no node `conv_1`" in text
    assert "did you mean `conv1`?" in text
    assert '`fc` is {"value": "much"}' in text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "is not JSON"),
        ([], "holds no results of nodes"),
        ({"a": {"results": {}}, "b": {}}, "holds no results of nodes"),
        ({"a": {"results": {}}, "b": {"results": {}}}, "several graphs, and none is called `net`"),
        ({"results": {"fc": {"value": 1, "bgColor": "url(http://x)"}}}, "the colours of `fc` are"),
        ({"results": {"fc": {"value": 1}}, "gradient": [{"bgColor": "red"}]}, "the colours of `fc` are"),
    ],
)
def test_what_cannot_be_read(read, data, message):
    with pytest.raises(InputError, match=message):
        read(data)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no\.json"):
        read_node_data(tmp_path / "no.json", "net", PATHS)
