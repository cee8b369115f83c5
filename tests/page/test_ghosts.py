"""Removed nodes stand in the network after the change where they were."""

from __future__ import annotations

import pytest

from composer import diff
from composer.page.comparison import difference_data
from composer.page.render import boxes_in


def data_of(before, after):
    return difference_data(diff(before, after))


def ghosts(data):
    return {box["path"]: box for box in boxes_in(data["networks"][0]["root"]) if box["look"] == "ghost"}


def wires_at(data, around, name):
    """What leads to a box and from it, by names of boxes, with its ends as `in:` and `out:`."""
    boxes = [
        data["networks"][0]["root"],
        *(box["inner"] for box in boxes_in(data["networks"][0]["root"]) if "inner" in box),
    ]
    view = next(view for view in boxes if view["path"] == around)
    names = [*(f"in:{name}" for name, _ in view["inputs"]), *(box["path"] for box in view["boxes"])]
    names += [f"out:{name}" for name in view["outputs"]]
    layout, at = data["layouts"][view["layouts"][0]], names.index(name)
    sources = {number: source for number, (source, _) in enumerate(layout["nets"])}
    ends = [(sources[wire[0]], wire[1]) for wire in layout["wires"]]
    return [names[one] for one, to in ends if to == at], [names[to] for one, to in ends if one == at]


def chain(*names):
    return {"name": "net", "input": [8, 4, 4], "nodes": {name: {"op": name.rstrip("0123456789")} for name in names}}


def test_a_removed_node_hangs_between_its_neighbours():
    data = data_of(chain("relu", "gelu", "silu"), chain("relu", "silu"))
    assert list(ghosts(data)) == ["gelu"]
    assert wires_at(data, "", "gelu") == (["relu"], ["silu"])
    # What fed it now feeds the next one, as it does in the network itself.
    assert wires_at(data, "", "silu") == (["relu", "gelu"], ["out:output"])
    assert "gelu" not in data["facts"]["composed"]


def test_several_in_a_row_keep_their_order():
    data = data_of(chain("relu", "gelu", "silu", "tanh"), chain("relu", "tanh"))
    assert list(ghosts(data)) == ["gelu", "silu"]
    assert wires_at(data, "", "gelu") == (["relu"], ["silu"])
    assert wires_at(data, "", "silu") == (["gelu"], ["tanh"])


def test_the_first_and_the_last():
    data = data_of(chain("gelu", "relu", "silu"), chain("relu"))
    assert wires_at(data, "", "gelu") == (["in:input"], ["relu"])
    assert wires_at(data, "", "silu") == (["relu"], [])


def test_in_a_run_of_copies_that_stays():
    """What was between two nodes that are now one box leads nowhere: a wire back would be a circle."""
    data = data_of(chain("relu1", "gelu", "relu2"), chain("relu1", "relu2"))
    (ghost,) = ghosts(data)
    assert wires_at(data, "", ghost) == (["relu1"], [])


def test_some_copies_of_a_run():
    before = {"name": "net", "input": [8, 4, 4], "nodes": {f"relu{one}": "relu" for one in range(5)}}
    after = {"name": "net", "input": [8, 4, 4], "nodes": {f"relu{one}": "relu" for one in range(3)}}
    (ghost,) = ghosts(data_of(before, after)).values()
    assert (ghost["label"], ghost["copies"]) == ("relu3–4", ["relu3", "relu4"])


def test_attention_that_is_gone_is_in_every_block():
    data = data_of({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]}, "resnet18")
    assert {path.rpartition(".")[2] for path in ghosts(data)} == {"se"}
    assert wires_at(data, "layer2.0", "layer2.0.se") == (["layer2.0.bn2"], ["layer2.0.add"])


def test_nothing_removed_no_ghost():
    data = data_of("resnet18", {"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    assert ghosts(data) == {}


@pytest.mark.parametrize(("before", "after"), [("densenet169", "densenet121"), ("resnet50", "resnet18")])
def test_every_removed_node_that_has_a_place_is_shown_there(before, after):
    found = ghosts(data_of(before, after))
    assert found
    assert all(box.get("copies", [path])[0] == path and "inner" not in box for path, box in found.items())


def test_only_pairs_that_nobody_could_guess_are_written():
    nodes = {name: {"block": "two"} for name in ("a", "b")}
    blocks = {"two": {"nodes": {"first": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}, "then": "relu"}}}
    before = {"name": "net", "input": [8, 4, 4], "blocks": blocks, "nodes": nodes}
    after = before | {"nodes": {"a": nodes["a"], "c": nodes["b"]}}
    assert data_of(before, after)["pairs"] == [("b", "c")]
    assert data_of(before, before)["pairs"] == []
