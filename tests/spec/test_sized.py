"""The keywords `num_classes`, `in_chans` and `img_size` of `build` and `compose`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import composer
from composer.spec.dump import dump

CONV = {"op": "conv2d", "out_channels": 3, "kernel_size": 1}
SMALL: dict[str, Any] = {
    "name": "small",
    "vars": {"num_classes": 5},
    "input": {"shape": [3, 8, 8], "mean": [0.5, 0.5, 0.5], "crop": 0.9},
    "nodes": {"conv": CONV, "pool": "global_avg_pool", "fc": {"op": "linear", "out_features": "$num_classes"}},
}


def _source(kind: str, folder: Path) -> Any:
    if kind == "path":
        (folder / "small.yaml").write_text(dump(SMALL))
    return {"zoo": "resnet18", "path": folder / "small.yaml", "mapping": SMALL}.get(kind) or composer.load_spec(SMALL)


@pytest.mark.parametrize("kind", ["zoo", "path", "mapping", "Spec"])
def test_they_mean_the_same_for_every_source(kind: str, tmp_path: Path) -> None:
    source = _source(kind, tmp_path)
    model = composer.build(source, num_classes=7, in_chans=1, img_size=(32, 48))
    assert model(torch.zeros(2, 1, 32, 48)).shape == (2, 7)
    graph = composer.compose(source, num_classes=7, in_chans=1, img_size=(32, 48))
    assert graph.to_json() == model.graph.to_json()
    plain = composer.load_spec(source)
    assert (graph.spec.name, graph.spec.vars["num_classes"]) == (plain.name, 7)
    assert graph.spec.inputs["input"] == plain.inputs["input"].model_copy(update={"shape": [1, 32, 48]})
    again = pickle.loads(pickle.dumps(model))
    assert again.spec.inputs == model.spec.inputs
    assert again.spec.name == model.spec.name


def test_one_number_is_both_sides_and_what_is_not_given_stays() -> None:
    assert composer.compose(SMALL, img_size=16).root.inputs["input"].shape == (2, 3, 16, 16)
    assert composer.compose(SMALL, in_chans=4).root.inputs["input"].shape == (2, 4, 8, 8)
    assert composer.compose(SMALL, in_chans=3, img_size=8).spec.files == composer.load_spec(SMALL).files


def test_a_shape_that_names_vars_takes_them_through_its_vars() -> None:
    source = {"vars": {"size": 32, "planes": 3}, "input": ["$planes", "${size}", "$size"], "nodes": {"conv": CONV}}
    spec = composer.compose(source, in_chans=5, img_size=48).spec
    assert spec.vars == {"size": 48, "planes": 5}
    with pytest.raises(composer.InputError, match="one var `size` for several sides"):
        composer.compose(source, img_size=(48, 49))
    with pytest.raises(composer.InputError, match="`size` is given through `vars` and by keyword"):
        composer.compose(source, img_size=48, vars={"size": 48})


def test_an_input_of_another_name() -> None:
    source = {"inputs": {"x": {"shape": [3, 8, 8], "crop": 0.5}}, "nodes": {"conv": CONV | {"from": "x"}}}
    assert composer.load_spec(source).inputs["x"].crop == composer.compose(source, in_chans=2).spec.inputs["x"].crop
    assert composer.compose(source, in_chans=2, img_size=9).root.inputs["x"].shape == (2, 2, 9, 9)


TWO = {"inputs": {"x": [3, 8, 8], "y": [3, 8, 8]}, "nodes": {"add": {"op": "add", "from": ["x", "y"]}}}
REFUSED: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "no such var": (
        {**SMALL, "vars": {"width": 1}, "nodes": {"conv": CONV}},
        {"num_classes": 3},
        "`num_classes` cannot be set: `small` has no var `num_classes`",
        "are `width`",
    ),
    "no vars at all": (TWO, {"num_classes": 3}, "has no var `num_classes`", "it has no vars"),
    "twice": (SMALL, {"num_classes": 3, "vars": {"num_classes": 3}}, "through `vars` and by keyword", ""),
    "several inputs": (TWO, {"in_chans": 3}, "several inputs, `x`, `y`", "write its `input`"),
    "an input of tokens": (
        {"input": {"shape": [12, 3], "layout": "b n c"}, "nodes": {"fc": {"op": "linear", "out_features": 3}}},
        {"img_size": 3},
        "an input `b n c`",
        "",
    ),
    "computed": (
        {"vars": {"size": 4}, "input": [3, "${2 * size}", 8], "nodes": {"conv": CONV}},
        {"img_size": 16},
        "an input of `${2 * size}`, which is computed",
        "are `size`",
    ),
    "three sides": (SMALL, {"img_size": (1, 2, 3)}, "`img_size` is (1, 2, 3)", ""),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("function", [composer.compose, composer.build])
def test_what_has_no_place_is_refused(function: Any, case: str) -> None:
    source, keywords, message, help = REFUSED[case]
    with pytest.raises(composer.InputError) as caught:
        function(source, **keywords)
    (problem,) = caught.value.diagnostics
    assert message in problem.message
    assert help in " ".join(problem.help)


def test_a_value_that_does_not_fit_is_the_specs_own_problem() -> None:
    with pytest.raises(composer.SpecError, match="`num_classes` is the string 'many'"):
        composer.compose(SMALL, num_classes="many")  # type: ignore[arg-type]


WRONG = (0, -1, True, 3.0, float("nan"), "64", "$num_classes", b"3", {}, torch.tensor(2.0), (1.0, 2))


@pytest.mark.parametrize("keyword", ["in_chans", "img_size"])
@pytest.mark.parametrize("value", WRONG, ids=map(str, WRONG))
def test_a_size_is_a_whole_number(keyword: str, value: Any) -> None:
    with pytest.raises(composer.InputError, match=f"`{keyword}` is ") as caught:
        composer.compose(SMALL, **{keyword: value})
    assert caught.value.diagnostics[0].label.startswith("a whole number from 1 on")


def test_whole_numbers_of_numpy_and_torch_are_such() -> None:
    graph = composer.compose(SMALL, in_chans=torch.tensor(2), img_size=(np.int64(16), 16))
    assert graph.root.inputs["input"].shape[1:] == (2, 16, 16)


@pytest.mark.parametrize("vars", [[1], "x", 3])
def test_vars_are_a_mapping(vars: Any) -> None:
    with pytest.raises(composer.SpecError, match="`vars` is of type"):
        composer.compose(SMALL, vars=vars)
