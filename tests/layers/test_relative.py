"""Relative positions, and attention that adds them to its logits."""

from __future__ import annotations

import pytest
import torch

import composer

SPEC = {
    "input": {"shape": [6, 8], "layout": "b n c"},
    "nodes": {
        "rel_pos": {"op": "relative_position_bias", "window": [2, 3], "num_heads": 2},
        "attn": {
            "op": "scaled_dot_product_attention",
            "from": ["input", "input", "input", "rel_pos"],
            "num_heads": 2,
        },
    },
}


def test_each_head_adds_the_number_of_the_offset():
    model = composer.build(SPEC).double().eval()
    table = torch.randn(3 * 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model.load_state_dict({"rel_pos.relative_position_bias_table": table})
    x = torch.randn(2, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    heads = []
    for head in range(2):
        part = x[..., 4 * head : 4 * head + 4]
        logits = part @ part.transpose(1, 2) / 2
        for i in range(6):
            for j in range(6):
                down, right = i // 3 - j // 3, i % 3 - j % 3
                logits[:, i, j] += table[(down + 1) * 5 + right + 2, head]
        heads.append(logits.softmax(-1) @ part)
        assert torch.allclose(model.attn.attention(x, x, x, model.rel_pos())[:, head], logits.softmax(-1))
    assert torch.allclose(model(x), torch.cat(heads, -1))
    assert torch.equal(torch.fx.symbolic_trace(model)(x), model(x))
    with torch.device("meta"):
        empty = composer.build(SPEC).double()
    empty.to_empty(device="cpu").load_state_dict(model.state_dict())
    assert torch.equal(empty.eval()(x), model(x))


def test_swins_table_is_such_a_table():
    swin = composer.build(
        {"input": {"shape": [2, 3, 8], "layout": "b h w c"}, "nodes": {"a": {"op": "window_attention", "num_heads": 2}}}
    )
    ours = composer.build(SPEC)
    ours.rel_pos.load_state_dict({"relative_position_bias_table": swin.a.relative_position_bias_table.detach()})
    assert torch.equal(ours.rel_pos(), swin.a._bias())


@pytest.mark.parametrize(("option", "value"), [("window", [3, 3]), ("num_heads", 4)])
def test_a_bias_of_another_shape_is_refused(option, value):
    nodes = {**SPEC["nodes"], "rel_pos": {**SPEC["nodes"]["rel_pos"], option: value}}
    with pytest.raises(composer.GraphError, match="adds a fourth input of shape 1×2×6×6 to logits, found 1×"):
        composer.graph({**SPEC, "nodes": nodes})
