"""Several tensors into one: differences, products of matrices, and means with learnt weights; and constants."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from layers.conftest import refusal, run
from torch.utils.flop_counter import FlopCounterMode

import composer


def test_differences_and_quotients(x):
    other = x.flip(0) + 3
    y, layout, model = run({"op": "sub"}, x, other)
    assert torch.equal(y, x - other)
    assert layout == "b c h w"
    assert "x - input_1" in model.code
    y, _, model = run({"op": "div"}, x, other)
    assert torch.equal(y, x / other)
    assert "x / input_1" in model.code
    assert torch.equal(run({"op": "div", "broadcast": True}, x, other[:, :, :1, :1])[0], x / other[:, :, :1, :1])


@pytest.mark.parametrize(
    ("shapes", "layouts", "given"),
    [
        (((2, 9, 6), (2, 6, 9)), ("b n c", "b c n"), "b n m"),
        (((2, 9, 9), (2, 9, 6)), ("b n m", "b n c"), "b n c"),
        (((2, 3, 4, 5), (2, 3, 5, 7)), ("b h n c", "b h c m"), "b h n m"),
    ],
)
def test_products_of_matrices(shapes, layouts, given):
    left, right = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    inputs = {
        name: {"shape": list(shape[1:]), "layout": layout}
        for name, shape, layout in zip(("left", "right"), shapes, layouts, strict=True)
    }
    model = composer.build({"inputs": inputs, "nodes": {"tested": {"op": "matmul", "from": ["left", "right"]}}})
    assert torch.equal(model(left, right), left @ right)
    assert model.graph.root.nodes["tested"].output.layout == given
    with FlopCounterMode(display=False) as counter:
        left @ right
    assert model.graph.macs["tested"] * 2 * len(left) == counter.get_total_flops()
    assert "left @ right" in model.code


def test_a_batch_times_one_matrix(tokens):
    spec = {
        "input": {"shape": [9, 6], "layout": "b n c"},
        "nodes": {
            "matrix": {"op": "parameter", "shape": [6, 4], "init": "normal"},
            "tested": {"op": "matmul", "from": ["input", "matrix"]},
        },
    }
    model = composer.build(spec).double()
    assert torch.equal(model(tokens), tokens @ model.get_parameter("matrix"))
    assert model.graph.root.nodes["tested"].output.layout == "b n c"
    assert model.graph.macs["tested"] == 9 * 6 * 4


def test_attention_is_written_in_a_spec(tokens):
    """softmax(q kᵀ / sqrt(c)) v, from the layers alone."""
    nodes = {
        "q": {"op": "linear", "out_features": 6, "from": "input"},
        "k": {"op": "linear", "out_features": 6, "from": "input"},
        "v": {"op": "linear", "out_features": 6, "from": "input"},
        "across": {"op": "rearrange", "pattern": "b n c -> b c n", "from": "k"},
        "logits": {"op": "matmul", "from": ["q", "across"]},
        "scaled": {"op": "scale", "factor": "${1 / pow(6, 0.5)}"},
        "weights": "softmax",
        "mixed": {"op": "matmul", "from": ["weights", "v"]},
    }
    model = composer.build({"input": {"shape": [9, 6], "layout": "b n c"}, "nodes": nodes}).double()
    q, k, v = model.q(tokens), model.k(tokens), model.v(tokens)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(model(tokens), expected)


@pytest.mark.parametrize("count", [2, 3])
def test_a_weighted_sum_is_its_equation(count, x):
    inputs = [x, x.flip(0), 2 * x.flip(1)][:count]
    y, layout, model = run({"op": "weighted_sum", "num_inputs": count}, *inputs)
    assert torch.allclose(y, sum(inputs) / (count + 1e-4))
    assert layout == "b c h w"
    tested = model.get_submodule("tested")
    with torch.no_grad():
        tested.weights.copy_(torch.tensor([3.0, -1.0, 2.0][:count]))
    # A weight below 0 counts as 0.
    weights = [3, 0, 2][:count]
    expected = sum(w * z.numpy() for w, z in zip(weights, inputs, strict=True)) / (sum(weights) + 1e-4)
    assert torch.allclose(model(*inputs), torch.from_numpy(expected))
    assert model.graph.num_parameters == count
    model(*inputs).sum().backward()
    assert tested.weights.grad is not None
    assert tested.weights.grad[1] == 0


def test_the_other_fusions_of_efficientdet(x):
    inputs = [x, x.flip(0), 2 * x.flip(1)]
    y, _, model = run({"op": "weighted_sum", "num_inputs": 3, "form": "softmax"}, *inputs)
    assert torch.allclose(y, sum(inputs) / 3)
    with torch.no_grad():
        model.get_submodule("tested").weights.copy_(torch.tensor([1.0, 2.0, 3.0]).log())
    assert torch.allclose(model(*inputs), (inputs[0] + 2 * inputs[1] + 3 * inputs[2]) / 6)
    y, _, model = run({"op": "weighted_sum", "num_inputs": 3, "form": "sum"}, *inputs)
    assert torch.allclose(y, sum(inputs))
    assert model.graph.num_parameters == 0


@pytest.mark.parametrize("form", ["fast", "softmax", "sum"])
def test_a_weighted_sum_in_place_of_every_residual_add(form):
    rule = {"use": "weighted_sum", "replace": "**.add", "with": {"form": form}, "expect": 8}
    graph = composer.graph({"backbone": "resnet18", "attention": [rule]})
    assert graph.num_parameters == composer.graph("resnet18").num_parameters + (0 if form == "sum" else 16)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"value": 0.5}, torch.tensor(0.5)),
        ({"value": 2, "shape": [7]}, torch.full((7,), 2.0)),
        ({"value": [1, 2, 3, 4, 5, 6], "shape": [1, 6, 1, 1]}, torch.arange(1.0, 7).view(1, 6, 1, 1)),
        ({"value": [1, 2, 3, 4, 5, 6, 7]}, torch.arange(1.0, 8)),
    ],
)
def test_constants_are_no_weights(options, expected, x):
    nodes = {
        "number": {"op": "constant", **options},
        "tested": {"op": "mul", "from": ["input", "number"], "broadcast": True},
    }
    model = composer.build({"input": [6, 5, 7], "nodes": nodes}).double()
    assert torch.equal(model(x), x * expected)
    assert not model.state_dict()
    assert model.graph.num_parameters == 0
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), x * expected)
    assert torch.equal(copy.deepcopy(model)(x), x * expected)
    assert torch.equal(torch.export.export(model, (x,)).module()(x), x * expected)
    with torch.device("meta"):
        empty = composer.build({"input": [6, 5, 7], "nodes": nodes})
    empty.to_empty(device="cpu").load_state_dict({})
    assert torch.equal(empty(x.float()), x.float() * expected)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "sub", "from": ["input", "input", "input"]}, "`sub` takes 2 inputs, found 3"),
        ({"op": "div", "from": ["input", "pooled"]}, "`div` takes inputs of one shape, found b×6×5×7 and b×6×1×1"),
        ({"op": "matmul", "from": ["input", "pooled"]}, "found 7 and 1; rearrange one of them"),
        ({"op": "matmul", "from": ["input", "vector"]}, "found 7 and 2"),
        (
            {"op": "matmul", "from": ["vector", "input"]},
            "takes batches of matrices, and as second input",
        ),
        ({"op": "matmul", "from": "input"}, "`matmul` takes 2 inputs, found 1"),
        ({"op": "weighted_sum", "from": ["input", "input", "input"]}, "found 3; set num_inputs to 3"),
        ({"op": "weighted_sum", "from": ["input", "pooled"]}, "`weighted_sum` takes inputs of one shape"),
        ({"op": "constant", "value": [1, 2, 3], "shape": [2, 2]}, "3 numbers do not fill a shape of 2×2; give 4"),
        ({"op": "constant"}, "needs `value`"),
    ],
)
def test_refusals(node, said):
    pooled = {"op": "global_avg_pool", "keepdim": True, "from": "input"}
    vector = {"op": "global_avg_pool", "from": "input"}
    assert said in refusal({"from": "input", **node}, pooled=pooled, vector=vector)
