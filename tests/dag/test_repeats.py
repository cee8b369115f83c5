"""Repeats of blocks with several inputs and outputs, references to all copies, and sources that are expressions."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import ComposerError, GraphError, SpecError

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def conv(out: Any, source: Any = None, kernel_size: int = 3) -> dict[str, Any]:
    node = {"op": "conv2d", "out_channels": out, "kernel_size": kernel_size}
    return node if source is None else {**node, "from": source}


def c2f(*, inline: bool) -> dict[str, Any]:
    """YOLOv8's C2f: the maps of all bottlenecks are put together."""
    repeat = {"block": "bottleneck", "repeat": "$depth", "from": "split"}
    if inline:
        repeat |= {"inline": True, "as": "m${index}"}
    unit = {"cv1": conv("${input.channels}"), "cv2": conv("${input.channels}"), "add": add("cv2", "input")}
    nodes = {
        "cv1": conv(8),
        "split": conv(4, "cv1", 1),
        "m": repeat,
        "cat": concat("cv1", "split", "m.*"),
        "cv2": conv(5),
    }
    blocks = {"bottleneck": {"nodes": unit}, "c2f": {"args": {"depth": 3}, "nodes": nodes}}
    return {"name": "net", "input": [3, 16, 16], "blocks": blocks, "nodes": {"a": {"block": "c2f"}}}


def add(*sources: str) -> dict[str, Any]:
    return {"op": "add", "from": list(sources)}


def concat(*sources: str) -> dict[str, Any]:
    return {"op": "concat", "from": list(sources)}


def plain_c2f(block: nn.Module, copies: list[nn.Module], x: Tensor) -> Tensor:
    x = block.cv1(x)
    maps = [x, block.split(x)]
    for copy in copies:
        maps.append(copy.cv2(copy.cv1(maps[-1])) + maps[-1])
    return block.cv2(torch.cat(maps, 1))


@pytest.mark.parametrize("inline", [False, True])
def test_all_copies_of_a_repeat(inline: bool) -> None:
    model = composer.build(c2f(inline=inline)).eval()
    copies = [model.a.get_submodule(name) for name in (("m0", "m1", "m2") if inline else ("m.0", "m.1", "m.2"))]
    assert torch.equal(model(IMAGES), plain_c2f(model.a, copies, IMAGES))
    assert torch.equal(pickle.loads(pickle.dumps(model))(IMAGES), model(IMAGES))


@pytest.mark.parametrize("inline", [False, True])
def test_what_rules_put_behind_a_copy_belongs_to_it(inline: bool) -> None:
    place = "a.m1" if inline else "a.m.1"
    model = composer.build({**c2f(inline=inline), "attention": [{"use": "eca", "after": place}]}).eval()
    (gate,) = [one for name, one in model.named_modules() if type(one).__name__.lower() == "eca"]
    seen: list[Tensor] = []
    gate.register_forward_hook(lambda *words: seen.append(words[2]))
    taken: list[Tensor] = []
    model.a.cv2.register_forward_hook(lambda *words: taken.append(words[1][0]))
    model(IMAGES)
    # The second bottleneck has channels 16 to 19.
    assert torch.equal(taken[0][:, 16:20], seen[0])


def test_all_nodes_of_a_stage_of_a_backbone() -> None:
    spec = {"backbone": "resnet18", "nodes": {"all": concat("layer3.*")}}
    model, images = composer.build(spec).eval(), torch.randn(1, 3, 64, 64)
    maps = composer.features(composer.build("resnet18"), {"a": "layer3.0", "b": "layer3.1"})
    maps.load_state_dict({name: one for name, one in model.state_dict().items() if name in maps.state_dict()})
    found = maps.eval()(images)
    assert torch.equal(model(images), torch.cat([found["a"], found["b"]], 1))


def test_no_copies_give_nothing() -> None:
    spec = c2f(inline=False)
    spec["nodes"]["a"]["args"] = {"depth": 0}
    assert composer.compose(spec).root.nodes["a"].content.nodes["cat"].tensor.channels == 12


def test_outputs_go_to_the_inputs_of_their_names() -> None:
    unit = {
        "inputs": ["fine", "coarse", "image"],
        "outputs": {"coarse": "down", "fine": "up"},
        "nodes": {
            "up": add("fine", "coarse"),
            "down": {**conv(3, "coarse"), "site": "block"},
            "up2": add("up", "image"),
        },
    }
    unit["outputs"]["fine"] = "up2"
    nodes = {
        "a": conv(3),
        "b": conv(3, "a"),
        "units": {"block": "unit", "repeat": 3, "from": ["a", "b", "input"]},
        "sum": {"op": "sub", "from": ["units.fine", "units.coarse"]},
    }
    model = composer.build({"input": [3, 16, 16], "blocks": {"unit": unit}, "nodes": nodes}).eval()
    fine, coarse = model.a(IMAGES), model.b(model.a(IMAGES))
    for unit_ in model.units.children():
        fine, coarse = fine + coarse + IMAGES, unit_.down(coarse)
    assert torch.equal(model(IMAGES), fine - coarse)


@pytest.mark.parametrize("inline", [False, True])
def test_outputs_without_names_of_inputs_go_to_the_inputs_in_their_order(inline: bool) -> None:
    unit = {"inputs": ["x", "y"], "outputs": {"one": "b", "two": "a"}, "nodes": {"a": conv(3, "x"), "b": add("y", "a")}}
    names = {"inline": True, "as": "u${index}"} if inline else {}
    nodes = {
        "c": conv(3),
        "units": {"block": "unit", "repeat": 2, "from": ["input", "c"], **names},
        "end": {"op": "sub", "from": ["units.one", "units.two"]},
    }
    model = composer.build({"input": [3, 16, 16], "blocks": {"unit": unit}, "nodes": nodes}).eval()
    x, y = IMAGES, model.c(IMAGES)
    for copy in (model.u0, model.u1) if inline else model.units.children():
        x, y = y + copy.a(x), copy.a(x)
    assert torch.equal(model(IMAGES), x - y)


@pytest.mark.parametrize("inline", [False, True])
def test_a_source_with_index_is_each_copys_own(inline: bool) -> None:
    """A decoder: each step takes the map of the step before, and the encoder's next finer map."""
    names = {"inline": True, "as": "up${index}"} if inline else {}
    nodes = {
        "c1": conv(4),
        "c2": {**conv(6), "stride": 2},
        "c3": {**conv(8), "stride": 2},
        "up": {
            "block": "up",
            "repeat": 2,
            "from": ["c3", "c${repeat - index}"],
            "args": {"out": "${6 - 2 * index}"},
            **names,
        },
    }
    up = {
        "inputs": ["coarse", "fine"],
        "args": {"out": None},
        "nodes": {
            "up": {"op": "upsample", "from": ["coarse", "fine"]},
            "cat": concat("up", "fine"),
            "conv": conv("$out"),
        },
    }
    model = composer.build({"input": [3, 16, 16], "blocks": {"up": up}, "nodes": nodes}).eval()
    c1 = model.c1(IMAGES)
    c2 = model.c2(c1)
    y = model.c3(c2)
    for step, fine in zip([model.up0, model.up1] if inline else model.up.children(), [c2, c1], strict=True):
        y = step.conv(torch.cat([nn.functional.interpolate(y, scale_factor=2), fine], 1))
    assert torch.equal(model(IMAGES), y)


@pytest.mark.parametrize("inline", [False, True])
def test_copies_side_by_side(inline: bool) -> None:
    names = {"inline": True, "as": "p${index}"} if inline else {}
    nodes = {"c0": conv(4), "c1": conv(6), "p": {**conv(2, "c${index}", 1), "repeat": 2, **names}, "s": add("p.*")}
    model = composer.build({"input": [3, 16, 16], "nodes": nodes}).eval()
    first, second = (model.p0, model.p1) if inline else model.p.children()
    c0 = model.c0(IMAGES)
    assert torch.equal(model(IMAGES), first(c0) + second(model.c1(c0)))


def test_an_expression_gives_a_list_of_sources() -> None:
    skip: dict[str, Any] = {"op": "add", "from": "${['a', 'b'] + (['c'] if wide else [])}"}
    nodes = {"a": conv(4), "b": conv(4), "c": {**conv(4, "b"), "when": "$wide"}, "s": skip}
    spec = {"input": [3, 16, 16], "vars": {"wide": True}, "nodes": nodes}
    model = composer.build(spec).eval()
    a = model.a(IMAGES)
    assert torch.equal(model(IMAGES), a + model.b(a) + model.c(model.b(a)))
    assert composer.compose(spec, vars={"wide": False}).root.nodes["s"].inputs == ("a", "b")


def test_a_block_takes_paths_into_its_nodes() -> None:
    inner = {"nodes": {"a": conv(4), "b": conv(4)}}
    outer = {"nodes": {"x": {"block": "inner"}, "sum": add("x.a", "x.b")}, "outputs": {"s": "sum", "first": "x.a"}}
    nodes = {"o": {"block": "outer"}, "end": add("o.s", "o.first")}
    model = composer.build({"input": [3, 16, 16], "blocks": {"inner": inner, "outer": outer}, "nodes": nodes}).eval()
    a = model.o.x.a(IMAGES)
    assert torch.equal(model(IMAGES), a + model.o.x.b(a) + a)


UNIT = {"inputs": ["x", "y"], "outputs": {"x": "a", "y": "b"}, "nodes": {"a": conv(3, "x"), "b": add("y", "a")}}
EITHER = {**conv(3, "${['c', 'input'][index]}"), "repeat": 2}
REPEAT = {"block": "unit", "repeat": 2, "from": ["c", "input"]}


@pytest.mark.parametrize(
    ("unit", "nodes", "said"),
    [
        ({"outputs": {"x": "a", "z": "b"}}, {}, "hands `x` on to its next copy, and has no input for its output `z`"),
        (
            {"inputs": ["q"], "outputs": {"x": "a", "y": "b"}, "nodes": {"a": conv(3), "b": conv(3)}},
            {"u": {**REPEAT, "from": "c"}},
            "has 2 outputs, and its next copy takes 1",
        ),
        ({}, {"end": add("c.*")}, "nothing is inside `c`"),
        ({}, {"end": add("u.*")}, "`u.0` has several outputs, name one"),
        ({}, {"end": add("u.x", "${widt}")}, "unknown name `widt`"),
        ({}, {"end": add("u.x", "${channels}")}, "unknown name `channels`"),
        ({}, {"end": add("u.x", "${3}")}, "`from` is 3"),
        ({}, {"end": add("u.x", "${'d'}")}, "there is no node `d` here"),
        ({}, {"end": add("u.x", "u${index}")}, "`index` is known only in a node with `repeat`"),
        ({}, {"u": {**REPEAT, "from": ["c", "${['c', 'end'][index]}"]}}, "nodes feed one another in a circle"),
        ({}, {"u": {**REPEAT, "repeat": "${channels}", "from": ["c", "c${index}"]}}, "unknown name `channels`"),
        ({}, {"u": {**REPEAT, "repeat": 0, "from": ["c", "c${index}"]}}, "`repeat` is 0"),
        ({}, {"u": {**REPEAT, "repeat": 10**9, "from": ["c", "c${index}"]}}, "more than 10,000 nodes"),
        ({}, {"p": EITHER, "end": add("u.x", "p")}, "the copy `p.0`"),
        (
            {},
            {"p": {**EITHER, "inline": True, "as": "p${index}"}, "end": add("u.x", "p")},
            "nothing uses node `p0`",
        ),
        ({"outputs": {"x": "a", "y": "a.*"}}, {}, "is no single tensor"),
    ],
)  # fmt: skip
def test_mistakes(unit: dict[str, Any], nodes: dict[str, Any], said: str) -> None:
    spec = {
        "input": [3, 16, 16],
        "blocks": {"unit": {**UNIT, **unit}},
        "nodes": {"c": conv(3), "u": REPEAT, "end": add("u.x", "u.y"), **nodes},
    }
    if "p" in nodes:
        spec["nodes"] = {**spec["nodes"], "end": spec["nodes"].pop("end")}
    with pytest.raises(ComposerError) as caught:
        composer.compose(spec)
    assert isinstance(caught.value, SpecError | GraphError)
    assert said in str(caught.value)


def test_elaboration_stays_linear() -> None:
    nodes = {"a": conv(3), "u": {**conv(3, "${['a', 'input'][index % 2]}", 1), "repeat": 2000}, "s": add("u.*")}
    graph = composer.compose({"input": [3, 8, 8], "nodes": nodes})
    assert len(graph.root.nodes["s"].inputs) == 2000
