"""How layers are written: the schema accepts and refuses what the checker does, and the command line shows them."""

from __future__ import annotations

import jsonschema
import pytest

import composer
from composer.schema import schema

RIGHT = [
    {"op": "upsample", "scale_factor": 2, "mode": "bilinear", "align_corners": False},
    {"op": "upsample", "size": [9, "${2 * width}"]},
    {"op": "conv_transpose2d", "out_channels": 4, "kernel_size": [2, 3], "stride": 2, "init": "zeros"},
    {"op": "adaptive_avg_pool", "output_size": [1, None]},
    {"op": "adaptive_max_pool", "output_size": 2},
    {"op": "max_pool", "kernel_size": [3, 1], "stride": [2, 1], "padding": [1, 0]},
    {"op": "pad_to_multiple", "multiple": [4, 8]},
    {"op": "roll", "shifts": [-1, 2], "dims": [2, 3]},
    {"op": "group_norm", "num_groups": "${channels // 2}", "affine": False},
    {"op": "prelu", "num_parameters": "$channels"},
    {"op": "softmax", "dim": 1},
    {"op": "weighted_sum", "num_inputs": 3, "eps": 1e-3, "from": ["input", "input", "input"]},
    {"op": "weighted_sum", "form": "softmax", "from": ["input", "input"]},
    {"op": "fourier_positions", "hidden_dim": 8},
    {"op": "conv2d", "out_channels": 4, "kernel_size": 1, "init": "lecun_normal"},
    {"op": "rearrange", "pattern": "b c (h p) w -> b c h p w", "sizes": {"p": "${4 + 1}"}},
    "grn_2d",
    "layer_scale_2d",
    "l2_norm",
    "global_max_pool",
]
WRONG = [
    {"op": "upsample", "scale_factor": 0},
    {"op": "upsample", "scale_factor": 2, "mode": "linear"},
    {"op": "upsample", "factor": 2},
    {"op": "conv_transpose2d", "out_channels": 4, "kernel_size": 2, "init": "he"},
    {"op": "adaptive_avg_pool", "output_size": 0},
    {"op": "max_pool", "kernel_size": [3, 0]},
    {"op": "group_norm", "num_groups": 0},
    {"op": "roll", "shifts": 1.5, "dims": 1},
    {"op": "weighted_sum", "num_inputs": 0},
    {"op": "constant", "value": "1"},
    {"op": "weighted_sum", "eps": 0},
    {"op": "rotary_positions", "ref_feat_shape": [5, 0]},
    {"op": "cross_attention", "num_heads": 0},
    {"op": "spatial_reduction_attention", "sr_ratio": 1.5},
    {"op": "rearrange", "pattern": "b c (h p) w -> b c h p w", "sizes": {"p": 0}},
    {"op": "rearrange", "pattern": "b c (h p) w -> b c h p w", "sizes": [5]},
]


def written(node):
    return {"input": [6, 5, 7], "nodes": {"tested": node}}


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft7Validator(schema())


@pytest.mark.parametrize("node", RIGHT, ids=str)
def test_what_is_accepted(node, validator):
    assert not list(validator.iter_errors(written(node)))
    assert composer.graph(written(node)).root.nodes["tested"].entry.is_own


@pytest.mark.parametrize("node", WRONG, ids=str)
def test_what_is_refused(node, validator):
    assert list(validator.iter_errors(written(node)))
    with pytest.raises(composer.GraphError) as caught:
        composer.graph(written(node))
    assert caught.value.diagnostics[0].code in ("option-type", "unknown-option")


def test_attention_goes_around_them():
    nodes = {
        "up": {"op": "conv_transpose2d", "out_channels": 8, "kernel_size": 2, "stride": 2},
        "norm": {"op": "group_norm", "num_groups": 2},
        "wide": {"op": "upsample", "scale_factor": 2},
        "spread": {"op": "pixel_shuffle", "upscale_factor": 2},
    }
    spec = {"input": [6, 5, 7], "nodes": nodes}
    rules = [
        {"use": "se", "after": "up"},
        {"use": "cbam", "after": "wide", "start": "identity"},
        {"use": "eca", "beside": "norm"},
        {"use": "mhsa", "after": "norm", "with": {"num_heads": 2}},
    ]
    graph = composer.graph({**spec, "attention": rules})
    assert [len(rule.places) for rule in graph.added] == [1] * 4
    with pytest.raises(composer.GraphError, match=r"`wide` gives b×8×20×28, in its place `se` gives b×8×10×14"):
        composer.graph({**spec, "attention": [{"use": "se", "replace": "wide"}]})
    with pytest.raises(composer.GraphError, match="in its place `condconv` gives b×8×2×3"):
        composer.graph({**spec, "attention": [{"use": "condconv", "replace": "up"}]})
    assert composer.graph({**spec, "attention": [{"remove": "norm"}]}).num_parameters == 6 * 8 * 4


def test_they_are_listed_and_shown(run):
    listed = {row["name"]: row for row in run("list", "layers", "--format", "json").json}
    assert listed["upsample"]["kind"] == listed["pixel_shuffle"]["kind"] == "shape"
    assert listed["group_norm"]["kind"] == "norm"
    shown = run("show", "upsample").out
    assert "to the size of a second input" in shown
    assert "nearest | nearest-exact | bilinear | bicubic" in shown
    assert "b c h w -> b c h' w'" in run("show", "adaptive_max_pool").out
