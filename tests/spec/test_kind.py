"""Overrides of vars are of the kind of their default, and what is wrong is shown where it is set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import composer
from composer.errors import ComposerError, SpecError
from composer.schema import describe
from composer.spec import zoo
from composer.spec.dump import dump
from composer.spec.kind import kind_of
from composer.spec.load import load_spec

NET = {
    "input": [3, 8, 8],
    "vars": {
        "classes": {"default": 10, "minimum": 0},
        "rate": {"default": 0.5, "minimum": 0, "maximum": 1},
        "act": {"default": "relu", "choices": ["relu", "silu"]},
        "seed": {"default": None, "kind": "integer"},
        "anything": None,
        "depths": [1, 2],
        "rows": [[1, 0.5, "relu"], [2, 1, "relu"]],
        "twice": "${classes * 2}",
        "flag": False,
    },
    "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}},
}


def refusal(**vars: Any) -> tuple[str, str, str]:
    with pytest.raises(SpecError) as caught:
        load_spec(NET, vars=vars)
    (problem,) = caught.value.diagnostics
    return problem.path, problem.message, problem.label


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("classes", None, "a whole number from 0 on"),
        ("classes", -1, "a whole number from 0 on"),
        ("classes", "10", "a whole number from 0 on"),
        ("classes", 10.0, "a whole number from 0 on"),
        ("classes", True, "a whole number from 0 on"),
        ("classes", "${5 / 2}", "a whole number from 0 on"),
        ("classes", [10], "a whole number from 0 on"),
        ("rate", 1.5, "a number from 0 to 1"),
        ("rate", float("nan"), "a number from 0 to 1"),
        ("rate", False, "a number from 0 to 1"),
        ("act", "gelu", "`'relu'`, `'silu'`"),
        ("seed", 1.5, "a whole number or null"),
        ("depths", 3, "a list of whole numbers"),
        ("rows", [3], "a list"),
        ("flag", 0, "true or false"),
        ("flag", "no", "true or false"),
    ],
)
def test_a_value_of_another_kind(name: str, value: Any, expected: str) -> None:
    path, _, label = refusal(**{name: value})
    assert (path.partition(".")[2].partition(".")[0], label) == (name, expected)


def test_a_var_that_needs_another() -> None:
    vars = {**NET["vars"], "groups": {"default": 1, "needs": {"act": "silu"}}}
    net = {**NET, "vars": vars}
    assert load_spec(net, vars={"groups": 4, "act": "silu"}).vars["groups"] == 4
    assert load_spec(net, vars={"groups": 1}).vars["groups"] == 1
    with pytest.raises(SpecError) as caught:
        load_spec(net, vars={"groups": 4})
    (problem,) = caught.value.diagnostics
    assert problem.message == "`groups` is 4, which nothing reads where `act` is 'relu'"
    assert (problem.path, problem.label) == ("vars.groups", "1, or `act: silu`")
    with pytest.raises(SpecError, match="`needs` of `groups` are no vars with values"):
        load_spec({**NET, "vars": {**vars, "groups": {"default": 1, "needs": "act"}}})


@pytest.mark.parametrize(("name", "value", "own"), [("groups", 4, 1), ("base_width", 128, 64)])
def test_a_basic_block_of_a_resnet_has_no_groups(tmp_path: Path, name: str, value: int, own: int) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(f"backbone: resnet18\nvars: {{{name}: {value}}}\n")
    with pytest.raises(SpecError, match=f"`{name}` is {value}, which nothing reads where `block` is 'basic'") as caught:
        load_spec(file)
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert (problem.location.line, problem.label) == (2, f"{own}, or `block: bottleneck`")
    load_spec("resnet18", vars={name: own})
    load_spec("resnet50", vars={name: value})


def test_each_item_of_a_list() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(NET, vars={"depths": [1, 2.0, "3", True]})
    assert [problem.path for problem in caught.value.diagnostics] == ["vars.depths.1", "vars.depths.2", "vars.depths.3"]
    assert caught.value.diagnostics[0].help == ("write `2`",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 0),
        ("classes", "${5 * 2}"),
        ("rate", 1),
        ("seed", 3),
        ("seed", None),
        ("anything", {"at": ["all"]}),
        ("depths", []),
        ("depths", [3, 4, 5]),
        ("rows", [["relu"], []]),
        ("twice", 2.5),
    ],
)
def test_a_value_of_the_kind(name: str, value: Any) -> None:
    load_spec(NET, vars={name: value})


def test_a_wrong_default_is_refused_as_well() -> None:
    with pytest.raises(SpecError, match="`width` is the number -1"):
        load_spec({**NET, "vars": {"width": {"default": -1, "minimum": 0}}})


def test_a_part_of_a_declared_list_is_set() -> None:
    vars = {"depths": {"default": [1, 2], "minimum": 1}}
    assert load_spec({**NET, "vars": vars}, sets=["vars.depths.1=5"]).vars == {"depths": [1, 5]}
    with pytest.raises(SpecError, match=r"`depths\[1\]` is the number 0"):
        load_spec({**NET, "vars": vars}, sets=["vars.depths.1=0"])


def test_what_a_var_may_be_survives_a_lock() -> None:
    again = load_spec(load_spec(NET, vars={"classes": 3}).to_mapping())
    assert (again.vars["classes"], again.kinds["classes"].minimum) == (3, 0)
    with pytest.raises(SpecError, match="`classes` is the number -1"):
        load_spec(again.to_mapping(), vars={"classes": -1})


def test_kinds_in_the_words_of_a_schema() -> None:
    found = {name: describe(kind.schema()) for name, kind in load_spec(NET).kinds.items()}
    assert found == {
        "classes": "integer ≥ 0",
        "rate": "number ≥ 0 ≤ 1",
        "act": "relu | silu",
        "seed": "integer | null",
        "anything": "anything",
        "depths": "array of integer",
        "rows": "array of array",
        "twice": "number",
        "flag": "boolean",
    }
    assert describe(kind_of([1, 2.5], [1, 2.5]).schema()) == "array of number"


def test_every_network_of_the_zoo_refuses_what_is_no_number_of_classes() -> None:
    folder = zoo.folder() / "backbones"
    families = [path.stem for path in folder.glob("*.yaml") if "\nnodes:" in path.read_text(encoding="utf-8")]
    assert len(families) >= 20
    for name in families:
        for value in (None, -1, "10", 10.0, True):
            with pytest.raises(SpecError) as caught:
                load_spec({"backbone": name, "vars": {"num_classes": value}})
            assert caught.value.diagnostics[0].path == "vars.num_classes"


@pytest.mark.parametrize(
    ("vars", "path"),
    [
        ("block: bottlneck", "2:15"),
        ("depths: [3, 4, 6, -3]", "2:26"),
        ("widths: [64, 128]", "2:16"),
        ("strides: [1, 2, 2, two]", "2:27"),
    ],
)
def test_the_line_that_sets_it(vars: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(f"backbone: resnet50\nvars: {{{vars}}}\n")
    with pytest.raises(ComposerError) as caught:
        composer.graph("net.yaml")
    assert str(caught.value.diagnostics[0].location) == f"net.yaml:{path}"


@pytest.mark.parametrize(
    "make", [lambda act: {"vars": {"act": act}}, lambda act: {"sets": [f"vars.act={act}"]}], ids=["vars", "set"]
)
def test_what_only_the_network_knows_is_shown_where_it_is_set(make: Callable[[str], dict[str, Any]]) -> None:
    spec = load_spec("efficientnet_b0", **make("rlu"))
    with pytest.raises(ComposerError) as caught:
        composer.graph(spec)
    problem = caught.value.diagnostics[0]
    assert problem.location is None or str(problem.location) == "--set:1:10"
    assert "unknown operation `rlu`" in problem.message
    assert "`act` is read at " in problem.help[-1]


def test_a_node_that_does_not_fit_says_where_its_vars_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = {**NET, "vars": {"groups": 1}, "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "groups": "$groups"}}}
    base["nodes"]["conv"]["kernel_size"] = 1  # type: ignore[index]
    Path("base.yaml").write_text(dump(base))
    Path("net.yaml").write_text("backbone: base.yaml\nvars: {groups: 2}\n")
    with pytest.raises(ComposerError) as caught:
        composer.graph("net.yaml")
    assert caught.value.diagnostics[0].help[-1] == "`groups` is set at net.yaml:2:16"


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"default": 1, "minimun": 0}, "unknown key `minimun`"),
        ({"default": 1, "kind": "int"}, "there is no kind 'int'"),
        ({"default": 1, "minimum": "0"}, "`minimum` of `width` is '0'"),
        ({"default": 1, "choices": 3}, "`choices` of `width` are no list of values"),
    ],
)
def test_a_declaration_with_a_mistake(declared: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**NET, "vars": {"width": declared}})
    assert caught.value.diagnostics[0].message == message


def test_only_the_network_declares() -> None:
    with pytest.raises(SpecError, match="`num_classes` is declared where it is set"):
        load_spec({"backbone": "resnet18", "vars": {"num_classes": {"default": 10}}})
