"""Which grid tokens stand on, and how many stand before it: what layers keep, change and lose."""

from __future__ import annotations

from typing import Any

import pytest

import composer
from composer.dag.tensor import TensorSpec
from composer.registry import TokenGrid

MAP = [6, 4, 5]


def tensors(*nodes: Any, **spec: Any) -> list[TensorSpec]:
    """The output of each node of a chain; other keys are of the spec."""
    named = {f"node{index}": node for index, node in enumerate(nodes)}
    last = {"last": {"op": "add", "from": [f"node{len(nodes) - 1}"] * 2}}
    graph = composer.graph({"input": MAP, "nodes": named | last, **spec})
    return [graph.root.end_of(name) for name in named]


def grid_of(*nodes: Any, **spec: Any) -> TokenGrid | None:
    return tensors(*nodes, **spec)[-1].grid


def test_a_map_hands_its_grid_on_row_by_row() -> None:
    assert grid_of("map_to_tokens") == (4, 5, 0)
    assert grid_of({"op": "rearrange", "pattern": "b c h w -> b (h w) c"}) == (4, 5, 0)
    assert grid_of("channels_last", {"op": "rearrange", "pattern": "b h w c -> b c (h w)"}) == (4, 5, 0)
    assert grid_of({"op": "rearrange", "pattern": "b c h w -> b (w h) c"}) is None
    assert grid_of({"op": "map_to_tokens", "axis": "channels"}) is None


KEPT = [
    "layer_norm",
    "gelu",
    {"op": "linear", "out_features": 8},
    {"op": "mhsa", "num_heads": 2},
    {"op": "dropout", "p": 0.1},
    "layer_scale",
    {"op": "cross_covariance_attention", "num_heads": 2},
    {"op": "channels", "start": 2, "end": 4},
    {"op": "rearrange", "pattern": "b n c -> b c n"},
    {"op": "se", "reduction": 2},
]


@pytest.mark.parametrize("node", KEPT, ids=lambda node: node if isinstance(node, str) else node["op"])
def test_what_leaves_tokens_where_they_stand_keeps_the_grid(node: Any) -> None:
    assert grid_of("map_to_tokens", node) == (4, 5, 0)


def test_windows_have_a_grid_of_their_own() -> None:
    windows = {"op": "rearrange", "pattern": "b c (h p) (w q) -> (b h w) (p q) c", "sizes": {"p": 2, "q": 5}}
    found = tensors(windows)[0]
    assert (found.grid, found.windows, found.whole_grid) == ((2, 5, 0), 2, None)
    again = {
        "op": "rearrange",
        "pattern": "(b h w) (p q) c -> b c (h p) (w q)",
        "sizes": {"p": 2, "q": 5},
        "from": ["node0", "input"],
    }
    assert grid_of(windows, again, "map_to_tokens") == (4, 5, 0)
    columns_first = {**windows, "pattern": "b c (h p) (w q) -> (b h w) (q p) c"}
    assert grid_of(columns_first) is None


PREFIX = {
    "map": "map_to_tokens",
    "cls": {"op": "parameter", "shape": [1, 1, 6]},
    "registers": {"op": "parameter", "shape": [1, 4, 6]},
    "more": {"op": "prepend_token", "from": ["registers", "map"], "tokens": 4},
    "all": {"op": "prepend_token", "from": ["cls", "more"]},
}


def after_prefix(*nodes: Any) -> list[TensorSpec]:
    named = {f"node{index}": node for index, node in enumerate(nodes)}
    named["last"] = {"op": "add", "from": [f"node{len(nodes) - 1}"] * 2}
    graph = composer.graph({"input": MAP, "nodes": {**PREFIX, **named}})
    assert graph.root.tensor("all").grid == (4, 5, 5)
    return [graph.root.tensor(name) for name in named]


def test_prefix_tokens_are_counted_and_taken_off() -> None:
    def sliced(**options: int) -> TokenGrid | None:
        return after_prefix({"op": "slice_tokens", **options})[0].grid

    assert sliced(start=1) == (4, 5, 4)
    assert sliced(start=5) == (4, 5, 0)
    assert sliced(end=5) == (0, 0, 5)
    assert sliced(start=1, end=3) == (0, 0, 2)
    assert sliced(start=-20) == (4, 5, 0)
    # Some of the positions are no map.
    assert sliced(start=6) is None
    assert sliced(start=5, end=-1) is None
    assert sliced(start=4, end=6) is None


def test_a_prefix_put_back_in_front() -> None:
    first, rest = {"op": "slice_tokens", "end": 2}, {"op": "slice_tokens", "start": 2, "from": "all"}
    joined = {"op": "concat", "axis": "n", "from": ["node0", "node1"]}
    assert after_prefix(first, rest, joined)[2].grid == (4, 5, 5)
    behind = {"op": "concat", "axis": "n", "from": ["node1", "node0"]}
    assert after_prefix(first, rest, behind)[2].grid is None
    channels = {"op": "concat", "axis": "c", "from": ["all", "all"]}
    assert after_prefix(channels)[0].grid == (4, 5, 5)


def test_what_mixes_tokens_loses_the_grid_and_a_residual_add_finds_it() -> None:
    """As in MLP-Mixer."""
    nodes = {
        "tokens": "map_to_tokens",
        "turned": {"op": "rearrange", "pattern": "b n c -> b c n"},
        "mixed": {"op": "axis_linear", "out_features": 20},
        "back": {"op": "rearrange", "pattern": "b c n -> b n c"},
        "add": {"op": "add", "from": ["tokens", "back"]},
    }
    root = composer.graph({"input": MAP, "nodes": nodes}).root
    assert [root.tensor(name).grid for name in nodes] == [(4, 5, 0), (4, 5, 0), None, None, (4, 5, 0)]
    assert [root.tensor(name).lost for name in nodes] == ["", "", "mixed", "mixed", ""]
    # Or the tensor that the sequence shall be like tells it.
    nodes["back"] = {**nodes["back"], "from": ["mixed", "tokens"]}
    assert composer.graph({"input": MAP, "nodes": nodes}).root.tensor("back").grid == (4, 5, 0)


def test_two_grids_added_are_none() -> None:
    nodes = {
        "one": "map_to_tokens",
        "turned": {"op": "rearrange", "pattern": "b c h w -> b c w h", "from": "input"},
        "other": {"op": "rearrange", "pattern": "b c w h -> b (w h) c"},
        "add": {"op": "add", "from": ["one", "other"]},
    }
    root = composer.graph({"input": MAP, "nodes": nodes}).root
    assert (root.tensor("other").grid, root.tensor("add").grid) == (None, (4, 5, 0))
    halves = {
        "top": {"op": "slice_tokens", "from": "all", "start": 5},
        "flat": {"op": "adaptive_avg_pool", "output_size": [2, 10], "from": "input"},
        "tokens": "map_to_tokens",
        "add": {"op": "add", "from": ["top", "tokens"]},
    }
    root = composer.graph({"input": MAP, "nodes": {**PREFIX, **halves}}).root
    assert [root.tensor(name).grid for name in ("top", "tokens", "add")] == [(4, 5, 0), (2, 10, 0), None]


def test_an_attention_written_out_stands_where_its_queries_stand() -> None:
    nodes = {
        "q": "map_to_tokens",
        "pooled": {"op": "avg_pool", "kernel_size": 2, "stride": 2, "from": "input"},
        "k": "map_to_tokens",
        "kt": {"op": "rearrange", "pattern": "b n c -> b c n"},
        "logits": {"op": "matmul", "from": ["q", "kt"]},
        "weights": "softmax",
        "mixed": {"op": "matmul", "from": ["weights", "k"]},
    }
    root = composer.graph({"input": MAP, "nodes": nodes}).root
    assert (root.tensor("k").grid, root.tensor("mixed").grid) == ((2, 2, 0), (4, 5, 0))


def test_equal_tensors_may_stand_elsewhere() -> None:
    one, other = (TensorSpec((2, 20, 6), "b n c", grid) for grid in (TokenGrid(4, 5), None))
    assert one == other
    assert hash(one) == hash(other)
    # Nothing that is known of one is taken for the other.
    inference = composer.dag.infer.Inference()
    norm = composer.registry.get("gelu")
    assert norm is not None
    assert [inference(norm, {}, [tensor]).output.grid for tensor in (one, other)] == [(4, 5, 0), None]


def test_a_network_on_tokens_says_the_grid_of_its_input() -> None:
    spec = {"input": {"shape": [21, 6], "layout": "b n c", "grid": ["$side", 5]}, "vars": {"side": 4}}
    graph = composer.graph(
        {**spec, "nodes": {"norm": "layer_norm", "gate": {"op": "se", "reduction": 2}}, "maps": True}
    )
    assert graph.root.inputs["input"].grid == (4, 5, 1)
    assert str(graph.outputs["output"]) == "b×6×4×5"
    assert composer.graph(graph.spec.to_mapping()).outputs == graph.outputs
    assert [graph.networkx().nodes["gate_joined"][fact] for fact in ("grid", "prefix_tokens")] == [(4, 5), 1]


def test_expressions_read_the_grid() -> None:
    def places(where: str) -> list[str]:
        rule = {"use": "se", "after": "mlp", "where": where}
        graph = composer.graph({"backbone": "vit_tiny_patch16_224", "input": [3, 64, 96], "attention": [rule]})
        return list(graph.added[0].places)

    assert len(places("grid_height == 4 and grid_width == 6 and prefix_tokens == 1")) == 12
    spec = {"backbone": "resnet18", "attention": [{"use": "se", "after": "stage", "where": "grid_height < 28"}]}
    assert len(composer.graph(spec).added[0].places) == 2
    nodes = {
        "map": "map_to_tokens",
        "more": {"op": "linear", "out_features": "${grid_height * 100 + grid_width * 10 + prefix_tokens}"},
    }
    assert composer.graph({"input": MAP, "nodes": nodes}).outputs["output"].channels == 450


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("lambda inputs: (4, 5, 1)", "gives 1 + 4×5 = 21 tokens, and there are 20"),
        ("lambda inputs: 'whole'", "gives 'whole', not (height, width, prefix)"),
        ("lambda inputs: inputs[3]", "the grid rule of `turned` of plugin"),
    ],
)
def test_a_grid_rule_of_a_plugin_that_is_wrong(rule: str, said: str, run: Any, tmp_path: Any) -> None:
    plugin, spec = tmp_path / "turned.py", tmp_path / "spec.yaml"
    plugin.write_text(
        "import composer\nfrom torch import Tensor\n"
        f'@composer.layer("turned", kind="shape", grid={rule})\n'
        'def turned(x: Tensor) -> Tensor:\n    """The tokens in another order."""\n    return x.flip(1)\n'
    )
    spec.write_text("input: [6, 4, 5]\nnodes:\n  map: map_to_tokens\n  end: turned\n")
    found = run("validate", spec, "--plugin", plugin)
    assert found.code == 1
    assert said in found.err
