"""Multiply-accumulates: what PyTorch's counter knows, and what nobody says is unknown wherever it is shown."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import flop_registry, register_flop_formula

import composer
from composer.amounts import millions
from composer.costs import costs
from composer.dag.macs import counted

PLUGIN = '''
import torch
from torch import Tensor, nn

import composer


@torch.library.custom_op("composer_tests::product", mutates_args=())
def product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.einsum("bchw,oc->bohw", x, weight)


@product.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])


@composer.mechanism("product_gate", kind="spatial")
class ProductGate(nn.Module):
    """Rescale by a product that its own library computes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels) * channels**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x * product(x, self.weight).sigmoid()
'''
RULE = "\nattention:\n  - {use: product_gate, after: act1}\n"


@pytest.fixture
def gated(tmp_path):
    """A spec whose gate is worked out by an operation that PyTorch does not know, and its plugin."""
    plugin, spec = tmp_path / "product_gate.py", tmp_path / "gated.yaml"
    plugin.write_text(PLUGIN)
    nodes = "nodes:\n  conv1: {op: conv2d, out_channels: 8, kernel_size: 3}\n  act1: relu\n"
    spec.write_text(f"name: gated\ninput: [3, 16, 16]\n{nodes}{RULE}")
    return spec, plugin


def on_meta(*shapes):
    return [torch.empty(shape, device="meta") for shape in shapes]


@pytest.mark.parametrize(
    ("run", "shapes", "macs"),
    [
        (lambda x: nn.Conv2d(3, 4, 3)(x).relu(), [(2, 3, 8, 8)], 2 * 4 * 6 * 6 * 27),
        (lambda a: a @ a.T, [(4, 5)], 80),
        (lambda a: torch.einsum("ij,kj->ik", a, a), [(4, 5)], 80),
        (lambda q: nn.functional.scaled_dot_product_attention(q, q, q), [(2, 3, 7, 5)], 2 * 2 * 3 * 7 * 7 * 5),
        (lambda x: x.softmax(1).sum(), [(4, 5)], 0),
        (lambda x: x / x.norm(dim=1, keepdim=True), [(4, 5)], 0),
        (lambda a, b: torch.mv(a, b), [(4, 5), (5,)], None),
        (torch.fft.fft2, [(4, 5)], None),
        (torch.linalg.inv, [(5, 5)], None),
        (
            lambda x: torchvision.ops.deform_conv2d(x, *on_meta((2, 18, 8, 8), (4, 3, 3, 3)), padding=1),
            [(2, 3, 8, 8)],
            None,
        ),
    ],
)
def test_what_is_counted_and_what_is_unknown(run, shapes, macs) -> None:
    assert counted(run, on_meta(*shapes)) == macs


def test_a_function_of_its_own_is_counted_by_what_it_runs() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x @ x.T

    assert counted(Square.apply, on_meta((4, 5))) == 80


def test_unknown_is_said_wherever_a_cost_is(gated, run) -> None:
    spec, plugin = gated
    summary = run("summary", spec, "--plugin", plugin).out
    rows = {line.split()[0]: line for line in summary.splitlines() if line}
    assert rows["gated"].split()[3] == "unknown"
    assert "unknown  (unknown by attention)" in rows["MACs"]
    assert "(unknown by attention)" in run("build", spec, "--plugin", plugin).out
    assert "64 parameters, unknown MACs" in run("show", "product_gate", "--plugin", plugin, "--at", 8, 14, 14).out
    built = run("build", spec, "--plugin", plugin, "--format", "json").json
    assert (built["macs"], built["without_attention"]["macs"], built["rules"][0]["macs"]) == (
        None,
        3 * 9 * 8 * 256,
        None,
    )
    graph = composer.graph(spec)
    assert (graph.num_macs, graph.plain.num_macs, graph.added[0].macs) == (None, 55_296, None)
    assert {node["id"]: node["macs"] for node in graph.to_json()["nodes"]} == {
        "input": 0,
        "conv1": 55_296,
        "act1": 0,
        "act1_product_gate": None,
    }
    assert millions(costs([str(spec)])[str(spec)].macs) == "unknown"
    difference = composer.diff(graph.plain, graph)
    assert "unknown" in str(difference).splitlines()[-1]
    assert difference.to_json()["changes"][0]["macs"] == [0, None]


def test_a_registered_formula_makes_it_known(gated, run) -> None:
    spec, plugin = gated
    assert run("validate", spec, "--plugin", plugin).code == 0
    operation = torch.ops.composer_tests.product

    @register_flop_formula(operation)
    def formula(x_shape, weight_shape, *args, out_shape=None, **kwargs):
        return 2 * x_shape[0] * x_shape[2] * x_shape[3] * weight_shape.numel()

    try:
        assert composer.graph(spec).macs["act1_product_gate"] == 8 * 8 * 16 * 16
    finally:
        flop_registry.pop(operation)
