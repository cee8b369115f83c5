"""What a page knows of each node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import composer
from composer import registry
from composer.dag.sketch import Sketch
from composer.docstring import sections
from composer.mathml import lines
from composer.network import Graph
from composer.page.facts import Costs, facts_of
from composer.page.sources import Files
from composer.page.tables import Tables
from composer.summary.memory import activation_memory

SE = "papers/se/resnet50"


class Facts:
    """The facts of one network, with its tables."""

    def __init__(self, graph: Graph, **costs):
        self.graph, self.tables = graph, Tables()
        known = Costs(graph.macs, activation_memory(graph.root))
        costs = Costs(**{**vars(known), **costs})
        self.whole, self.found = facts_of(Sketch.of(graph), costs, self.tables, Files.of_spec(graph.spec))

    def __getitem__(self, path):
        return self.found[path]

    def options(self, path):
        rows = self.tables.options.rows[self.found[path]["options"]]
        return {name: (value, *rest) for name, value, *rest in rows}

    def tensors(self, path, side):
        return [self.tables.tensors.rows[number] for number in self.found[path][side]]

    def table(self, path, name):
        return getattr(self.tables, name).rows[self.found[path][name if name != "codes" else "code"]]


@pytest.fixture(scope="module")
def se() -> Iterator[Facts]:
    return Facts(composer.graph(SE))


def test_every_node_that_computes_has_facts(se):
    wanted = {node.path for node in se.graph.root.walk() if node.content is not None}
    assert se.found.keys() == wanted


def test_an_inserted_mechanism(se):
    path = "layer2.1.se"
    found = se[path]
    assert (found["op"], found["kind"], found["rule"], found["parameters"], found["line"]) == (
        "se",
        "attention",
        0,
        2 * 512 * 32 + 512 + 32,
        (0, 8),
    )
    assert se.tensors(path, "in") == se.tensors(path, "out") == [["N×512×28×28", "b c h w"]]
    options = se.options(path)
    assert options["channels"] == ("512", "place")
    # It is written, though it is what the default would be.
    assert options["reduction"] == ("16", "given")
    assert options["bias"] == ("true", "default")
    assert se.table(path, "weights")[0] == ["fc1.weight", "32×512×1×1"]
    heading, code = se.table(path, "codes")
    assert heading == "SqueezeExcitation"
    assert code.startswith("def attention(self, x: Tensor) -> Tensor:\n")
    assert code.endswith("def forward(self, x: Tensor) -> Tensor:\n    return x * self.attention(x)")


def test_a_mechanism_is_documented_once(se):
    about = se.tables.operations["se"]
    assert about["math"] == lines(sections(registry.get("se").doc)["Math"])
    assert about["link"] == "https://arxiv.org/abs/1709.01507"
    assert about["departs"].startswith("biases are on")
    assert about["summary"] == "Rescale each channel by a gate computed from the globally pooled input."


def test_an_option_keeps_the_expression_that_was_written(se):
    options = se.options("layer2.0.conv2")
    assert options["stride"] == ("1", "given", "${1 if stride_in_1x1 else stride}")
    assert options["out_channels"] == ("128", "given", "$width")
    assert options["dilation"] == ("1", "given", "$first_dilation")
    assert options["padding"][1] == "default"
    assert se["layer2.0.conv2"]["sites"] == ("spatial_conv",)


def test_a_block_sums_up_what_is_in_it(se):
    inside = [found for path, found in se.found.items() if path.startswith("layer1.") and found["kind"] != "block"]
    for cost in ("parameters", "macs", "memory"):
        assert se["layer1"][cost] == sum(found[cost] for found in inside)
    assert dict(se.table("layer1", "contents")) == {
        **{"conv2d": 10, "batch_norm": 10, "relu": 9, "se": 3, "add": 3},
    }
    assert se.whole["parameters"] == 28_088_024
    assert se.whole["macs"] == se.graph.num_macs
    assert se["layer1.0"]["defined"] == (2, 82)


def test_code_of_scopes_is_what_is_generated_and_stored_once(se):
    heading, code = se.table("layer1.1", "codes")
    assert heading == "bottleneck"
    assert "    y = self.se(y)\n" in code
    assert "None" not in code
    assert se["layer1.1"]["code"] == se["layer4.2"]["code"] != se["layer1.0"]["code"]
    assert se.table("layer1.0.downsample", "codes")[1] == "nn.Sequential(\n    (0): Conv2d\n    (1): BatchNorm2d\n)"
    heading, code = se.table("layer1.0.conv1", "codes")
    assert (heading, code) == ("PyTorch", "nn.Conv2d(64, 64, kernel_size=(1, 1), stride=(1, 1), bias=False)")
    assert se.table("layer1.0.add", "codes")[1].startswith("def add(")


def test_buffers_are_marked(se):
    weights = se.table("bn1", "weights")
    assert ["weight", "64"] in weights
    assert ["num_batches_tracked", "scalar", "buffer"] in weights


def test_the_keys_are_those_of_the_state_dict(se):
    written = set()
    for path, found in se.found.items():
        if "weights" in found:
            written |= {f"{path}.{key}" if key else path for key, *_ in se.table(path, "weights")}
    assert written == set(composer.build(SE, device="meta").state_dict())


def test_parameters_that_are_nodes_and_helpers_of_rules():
    facts = Facts(
        composer.graph(
            {
                "input": [8, 6, 6],
                "nodes": {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}},
                "attention": [{"use": "sa", "after": "conv", "start": "identity", "tokens": "channels"}],
            }
        )
    )
    assert facts.table("conv_sa_gamma", "weights") == [["", "1"]]
    assert facts["conv_sa_gamma"]["rule"] == 0
    assert facts.options("conv_sa_tokens")["axis"] == ("channels", "given")
    assert "code" not in facts["conv_sa_gamma"]


def test_what_a_replaced_convolution_hands_on_is_from_its_place():
    facts = Facts(composer.graph("papers/sk/resnext50_32x4d"))
    options = facts.options("layer1.0.conv2")
    assert options["kernel_size"] == ("3", "place")
    assert options["groups"] == ("32", "place")
    assert options["floor"][1] in ("given", "default")


def test_measured_times_are_summed_where_blocks_have_none():
    graph = composer.graph("resnet18")
    seconds = dict.fromkeys(graph.macs, 0.5) | {"layer1": 7.0}
    facts = Facts(graph, seconds=seconds)
    assert facts["conv1"]["seconds"] == 0.5
    assert facts["layer1"]["seconds"] == 7.0
    assert facts["layer2.1"]["seconds"] == 0.5 * len([path for path in graph.macs if path.startswith("layer2.1.")])
    assert "seconds" not in Facts(graph)["conv1"]
    assert Facts(graph, macs=None)["conv1"]["macs"] is None


def test_several_inputs_and_outputs_go_by_name():
    spec = {
        "input": [4, 8, 8],
        "blocks": {
            "pair": {
                "inputs": ["left", "right"],
                "nodes": {"sum": {"op": "add", "from": ["left", "right"]}, "act": "relu"},
                "outputs": {"one": "sum", "two": "act"},
            }
        },
        "nodes": {
            "a": {"op": "relu"},
            "p": {"block": "pair", "from": ["input", "a"]},
            "end": {"op": "add", "from": ["p.one", "p.two"]},
        },
    }
    facts = Facts(composer.graph(spec))
    assert [name for name, _ in facts["p"]["in"]] == ["left", "right"]
    assert [name for name, _ in facts["p"]["out"]] == ["one", "two"]


def test_what_shares_says_with_whom():
    facts = Facts(composer.graph(Path(__file__).parents[2] / "examples" / "share_by_rule.yaml"))
    assert facts["layer1.0.cbam"]["shares"] == [("channel", "layer1.shared_cbam_channel")]
    assert [key for key, *_ in facts.table("layer1.0.cbam", "weights")] == ["spatial.conv.weight", "spatial.conv.bias"]
    assert facts.table("layer1.shared_cbam_channel", "weights")[0][0] == "fc1.weight"
    assert facts.whole["parameters"] == facts.graph.num_parameters


def test_tokens_show_the_grid_that_they_come_from():
    rule = {"use": "se", "after": "mlp"}
    spec = {"backbone": "vit_tiny_patch16_224", "input": [3, 64, 96], "vars": {"depth": 1}, "attention": [rule]}
    facts = Facts(composer.graph(spec))
    assert facts.tensors("blocks.0.mlp.out_se_map", "in") == [["N×25×192", "b n c (n = 1 + 4×6)"]]
    assert facts.tensors("blocks.0.mlp.out_se", "in") == [["N×192×4×6", "b c h w"]]
    assert facts.tensors("blocks.0.mlp.out_se_prefix", "out") == [["N×1×192", "b n c (n = 1)"]]
    assert facts.options("blocks.0.mlp.out_se_map")["grid"][0] == "[4, 6]"
