"""Windows, grids and halves by `rearrange`: against einops, at any size and batch, and what it refuses."""

from __future__ import annotations

import copy
import pickle

import einops
import pytest
import torch
from layers.conftest import refusal, run

import composer
from composer.summary.memory import activation_memory

WINDOWS = "b (h p) (w q) c -> (b h w) (p q) c"
BACK = "(b h w) (p q) c -> b (h p) (w q) c"
SIZES = {"p": 4, "q": 2}


@pytest.fixture
def image():
    return torch.randn(2, 8, 12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("pattern", "sizes", "layout"),
    [
        (WINDOWS, SIZES, "b n c"),
        ("b (p h) (q w) c -> (b h w) (p q) c", SIZES, "b n c"),
        ("b (h p) (w q) c -> b (h w) (p q) c", SIZES, "b n _ c"),
        ("b (h p) (w q) c -> (b p q) (h w) c", SIZES, "b n c"),
        ("b (h p) (w q) c -> b h w (p q c)", SIZES, "b h w c"),
        ("b h w (k c) -> k b h w c", {"k": 3}, "k b h w c"),
        ("b h w (k c) -> b (h w) k c", {"c": 2}, "b n k c"),
        ("b h w c -> (b h) w c", None, "b w c"),
        ("b (h k) w c -> b k h w c", {"k": 2}, "b k h w c"),
    ],
)
def test_it_is_einops(image, pattern, sizes, layout):
    node = {"op": "rearrange", "pattern": pattern, **({"sizes": sizes} if sizes else {})}
    y, found, model = run(node, image, layout="b h w c")
    assert torch.equal(y, einops.rearrange(image, pattern, **(sizes or {})))
    assert found == layout
    assert torch.equal(torch.fx.symbolic_trace(model)(image), y)
    larger = torch.cat([image, image])[:3]
    assert torch.equal(model(larger), einops.rearrange(larger, pattern, **(sizes or {})))


def windowed(back, size=(8, 12)):
    return {
        "name": "windowed",
        "input": [6, *size],
        "nodes": {
            "last": "channels_last",
            "windows": {"op": "rearrange", "pattern": WINDOWS, "sizes": {"p": 4, "q": "${6 // 3}"}},
            "attn": {"op": "mhsa", "num_heads": 2},
            "back": {"op": "rearrange", "pattern": BACK, **back},
            "add": {"op": "add", "from": ["last", "back"]},
        },
    }


LIKE = {"from": ["attn", "last"], "sizes": {"p": 4, "q": 2}}
WRITTEN = {"sizes": {"p": 4, "h": "${input.height // 4}", "w": "${input.width // 2}"}}


def by_hand(model, x):
    last = x.permute(0, 2, 3, 1)
    y = last.clone()
    for i in range(0, last.shape[1], 4):
        for j in range(0, last.shape[2], 2):
            window = last[:, i : i + 4, j : j + 2]
            y[:, i : i + 4, j : j + 2] += model.attn(window.flatten(1, 2)).unflatten(1, (4, 2))
    return y


@pytest.mark.parametrize("back", [LIKE, WRITTEN], ids=["like", "written"])
def test_attention_in_windows(back):
    model = composer.build(windowed(back)).eval()
    images = torch.randn(3, 6, 8, 12)
    wanted = by_hand(model, images)
    assert torch.allclose(model(images), wanted, atol=1e-6)
    assert torch.equal(pickle.loads(pickle.dumps(model))(images), model(images))
    assert torch.equal(copy.deepcopy(model)(images), model(images))
    assert torch.allclose(torch.fx.symbolic_trace(model)(images), wanted, atol=1e-6)
    assert torch.allclose(torch.compile(model, fullgraph=True, backend="eager")(images), wanted, atol=1e-6)
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    exported = torch.export.export(model, (images,), dynamic_shapes={"x": batch}).module()
    assert torch.allclose(exported(images[:1]), wanted[:1], atol=1e-6)
    model(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_map_that_it_is_like_may_have_any_size():
    model = composer.build(windowed(LIKE)).eval()
    images = torch.randn(2, 6, 16, 4)
    assert torch.allclose(model(images), by_hand(model, images), atol=1e-6)


def test_its_code_reads():
    code = composer.build(windowed(LIKE)).code
    assert ".unflatten(2, (-1, 2)).unflatten(1, (-1, 4)).permute(0, 1, 3, 2, 4, 5).flatten(0, 2).flatten(1, 2)" in code
    assert ".unflatten(1, (4, 2)).unflatten(0, (-1, x.shape[1] // 4, x.shape[2] // 2)).permute(0, 1, 3, 2" in code


def test_a_window_stands_in_the_batch_and_costs_are_per_example():
    graph = composer.graph(windowed(LIKE))
    tensor = graph.root.nodes["windows"].tensor
    assert (str(tensor), tensor.without_batch, tensor.layout) == ("12b×8×6", (12, 8, 6), "b n c")
    assert graph.macs["attn"] == 12 * (8 * 4 * 6 * 6 + 2 * 8 * 8 * 6)
    assert str(graph.root.nodes["back"].tensor) == "b×8×12×6"
    assert "windows  rearrange         12N×8×6 " in str(graph.summary().view(depth=2))
    token_mixer = {"op": "mhsa", "num_heads": 2}
    one = composer.graph({"input": {"shape": [8, 6], "layout": "b n c"}, "nodes": {"attn": token_mixer}})
    assert activation_memory(graph.root)["attn"] == 12 * activation_memory(one.root)["attn"]


def test_attention_goes_around_what_is_in_windows():
    rules = [{"use": "mhsa", "replace": "attn", "with": {"num_heads": 3}}]
    model = composer.build({**windowed(LIKE), "attention": rules})
    assert model(torch.randn(2, 6, 8, 12)).shape == (2, 8, 12, 6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": WINDOWS, "sizes": {"p": 3, "q": 2}}, "cannot split `(h p)` of 8 into h × 3; set other sizes"),
        ({"pattern": WINDOWS, "sizes": {"p": 4}}, "cannot split `(w q)` of 12: write `sizes: {w: …}`"),
        ({"pattern": WINDOWS, "sizes": {"p": 4, "h": 3, "q": 2}}, "`(h p)` of 8 into 3 × 4"),
        ({"pattern": WINDOWS, "sizes": {"p": 4, "q": 2, "r": 2}}, "the size of `r`, which"),
        ({"pattern": WINDOWS, "sizes": {"p": 0, "q": 2}}, "`sizes` of `rearrange`"),
        ({"pattern": "b c h w -> b (h w) c"}, "told `b c h w` comes in, found `b h w c`; start the pattern with"),
        ({"pattern": BACK, "sizes": SIZES}, "told `b n c` comes in"),
    ],
)
def test_refusals(options, said):
    assert said in refusal({"op": "rearrange", **options}, (8, 12, 6), "b h w c")


def test_a_second_input_must_have_the_layout_of_the_output():
    spec = windowed({**LIKE, "from": ["attn", "input"]})
    with pytest.raises(composer.GraphError, match="sizes from a second input of that layout, found `b c h w`"):
        composer.graph(spec)
