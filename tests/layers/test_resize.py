"""Layers that change a map's size: each is PyTorch's own, with the same numbers and costs, or is refused in words."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from layers.conftest import refusal, run
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import composer
from composer.layers.resize import UpsampleLike, UpsampleToMultiple

# Options of a spec, and the module that they make of 6 channels.
PEERS = [
    ({"op": "upsample", "scale_factor": 2}, nn.Upsample(scale_factor=2)),
    ({"op": "upsample", "size": 9}, nn.Upsample(9)),
    ({"op": "upsample", "size": [3, 11], "mode": "nearest-exact"}, nn.Upsample((3, 11), mode="nearest-exact")),
    ({"op": "upsample", "scale_factor": [1.5, 3], "mode": "bilinear"}, nn.Upsample(None, (1.5, 3.0), "bilinear")),
    (
        {"op": "upsample", "size": [10, 14], "mode": "bicubic", "align_corners": True},
        nn.Upsample((10, 14), mode="bicubic", align_corners=True),
    ),
    ({"op": "adaptive_avg_pool", "output_size": 3}, nn.AdaptiveAvgPool2d(3)),
    ({"op": "adaptive_avg_pool", "output_size": [1, None]}, nn.AdaptiveAvgPool2d((1, None))),
    ({"op": "adaptive_max_pool", "output_size": [4, 2]}, nn.AdaptiveMaxPool2d((4, 2))),
    ({"op": "max_pool", "kernel_size": [3, 1], "stride": [2, 1]}, nn.MaxPool2d((3, 1), (2, 1), (1, 0))),
    ({"op": "max_pool", "kernel_size": [2, 3], "padding": 1}, nn.MaxPool2d((2, 3), None, 1)),
    ({"op": "max_pool", "kernel_size": 3, "stride": [1, 2]}, nn.MaxPool2d(3, (1, 2), 1)),
    ({"op": "avg_pool", "kernel_size": [1, 4], "padding": [0, 2]}, nn.AvgPool2d((1, 4), None, (0, 2))),
    ({"op": "conv_transpose2d", "out_channels": 4, "kernel_size": 2, "stride": 2}, nn.ConvTranspose2d(6, 4, 2, 2)),
    (
        {
            "op": "conv_transpose2d",
            "out_channels": 9,
            "kernel_size": [3, 5],
            "stride": [2, 3],
            "groups": 3,
            "padding": [0, 1],
            "output_padding": [1, 2],
            "bias": True,
            "dilation": [1, 2],
        },
        nn.ConvTranspose2d(6, 9, (3, 5), (2, 3), (0, 1), (1, 2), 3, True, (1, 2)),
    ),
]


@pytest.mark.parametrize(("node", "peer"), PEERS)
def test_the_layer_is_pytorchs_own(node, peer, x):
    y, layout, model = run(node, x)
    tested, peer = model.get_submodule("tested"), peer.double()
    assert type(tested) is type(peer)
    if getattr(tested, "bias", None) is None:
        peer.bias = None
    peer.load_state_dict(tested.state_dict())
    with FlopCounterMode(display=False) as counter:
        assert torch.equal(y, peer(x))
    assert layout == "b c h w"
    # The counter counts a multiply-add as two.
    assert model.graph.macs["tested"] * 2 * len(x) == counter.get_total_flops()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_a_map_gets_the_size_of_another(mode, x):
    like = torch.randn(2, 3, 11, 4, dtype=torch.float64)
    y, layout, model = run({"op": "upsample", "mode": mode}, x, like)
    assert torch.equal(y, F.interpolate(x, (11, 4), mode=mode))
    assert layout == "b c h w"
    assert type(model.tested) is UpsampleLike
    assert repr(model.tested) == f"UpsampleLike(size=like.shape[2:], mode='{mode}')"


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize(("multiple", "size"), [(4, (8, 8)), ([5, 4], (5, 8)), ([3, 7], (6, 7)), (9, (9, 9))])
def test_a_map_grows_to_the_next_multiple(mode, multiple, size, x):
    y, layout, model = run({"op": "upsample", "multiple": multiple, "mode": mode}, x)
    assert torch.equal(y, F.interpolate(x, size, mode=mode))
    assert layout == "b c h w"
    assert type(model.tested) is UpsampleToMultiple


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_a_map_of_multiples_stays_bit_for_bit(mode, x):
    y, _, model = run({"op": "upsample", "multiple": [5, 7], "mode": mode}, x)
    assert torch.equal(y, x)
    assert repr(model.tested) == f"UpsampleToMultiple(multiple=(5, 7), mode='{mode}')"


def test_the_next_multiple_is_found_again_for_each_size(x):
    _, _, model = run({"op": "upsample", "multiple": 4, "mode": "bilinear"}, x)
    other = torch.randn(1, 6, 9, 4, dtype=torch.float64)
    wanted = F.interpolate(other, (12, 4), mode="bilinear")
    sides = {2: torch.export.Dim("height", min=2, max=64), 3: torch.export.Dim("width", min=2, max=64)}
    exported = torch.export.export(model, (other,), dynamic_shapes=(sides,)).module()
    for made in (model, torch.fx.symbolic_trace(model), exported):
        assert torch.equal(made(other), wanted)
        assert made(other[:, :, :3, :3]).shape == (1, 6, 4, 4)


def test_the_default_padding_is_that_of_a_convolution(x):
    node = {"op": "conv_transpose2d", "out_channels": 4, "stride": 2}
    assert run({**node, "kernel_size": 4}, x)[0].shape == (2, 4, 10, 14)
    assert run({**node, "kernel_size": 2}, x)[0].shape == (2, 4, 10, 14)
    assert run({**node, "kernel_size": 3, "output_padding": 1}, x)[0].shape == (2, 4, 10, 14)


def test_a_transposed_convolution_is_drawn_as_told():
    node = {"op": "conv_transpose2d", "out_channels": 64, "kernel_size": 3, "bias": True, "init": "normal", "std": 0.1}
    tested = composer.build({"input": [64, 4, 4], "nodes": {"tested": node}}).tested
    assert tested.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert not tested.bias.any()


def test_pixels_from_channels_and_back(x):
    maps = torch.randn(2, 18, 4, 6, dtype=torch.float64)
    y, layout, model = run({"op": "pixel_shuffle", "upscale_factor": 3}, maps)
    assert torch.equal(y, F.pixel_shuffle(maps, 3))
    assert (layout, type(model.tested)) == ("b c h w", nn.PixelShuffle)
    y, _, model = run({"op": "pixel_unshuffle", "downscale_factor": 2}, maps)
    assert torch.equal(y, F.pixel_unshuffle(maps, 2))
    assert type(model.tested) is nn.PixelUnshuffle


def test_the_maximum_of_all_positions(x):
    y, layout, _ = run("global_max_pool", x)
    assert torch.equal(y, x.amax((2, 3)))
    assert layout == "b c"
    y, layout, _ = run({"op": "global_max_pool", "keepdim": True}, x)
    assert torch.equal(y, x.amax((2, 3), keepdim=True))
    assert layout == "b c h w"


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (
            "upsample",
            "takes one of size, scale_factor and multiple, found none; set one of them, or write `from: [low, high]`",
        ),
        ({"op": "upsample", "size": 4, "scale_factor": 2}, "and multiple, found size and scale_factor; set one"),
        ({"op": "upsample", "multiple": 4, "from": ["input", "input"]}, "the size of the second; leave out multiple"),
        ({"op": "upsample", "multiple": 0}, "`multiple` of `upsample`"),
        (
            {"op": "upsample", "from": ["input", "input", "input"]},
            "1 input, or 2 to get the size of the second, found 3",
        ),
        ({"op": "upsample", "from": ["input", "flat"]}, "works on `b c h w`, found `b c`"),
        ({"op": "upsample", "size": 4, "align_corners": True}, "mode nearest has no align_corners"),
        ({"op": "upsample", "scale_factor": 0.01}, "does not fit b×6×5×7"),
        ({"op": "upsample", "scale_factor": 2, "mode": "linear"}, "`mode` of `upsample`"),
        ({"op": "upsample", "scale_factor": 5000}, "more than"),
        ({"op": "conv_transpose2d", "out_channels": 4, "kernel_size": 3, "output_padding": 1}, "to 0 or less"),
        ({"op": "conv_transpose2d", "out_channels": 4, "kernel_size": 3, "groups": 4}, "divide into 4 groups"),
        (
            {"op": "max_pool", "kernel_size": [3, 2], "padding": [2, 0]},
            "more than half of kernel_size 3; set padding to 1",
        ),
        ({"op": "max_pool", "kernel_size": [3, 2, 1]}, "[3, 2, 1] has 3 lengths for 2 axes"),
        (
            {"op": "max_pool", "kernel_size": [1, 9], "padding": 0},
            "its window is 1×9, and the map with its padding 5×7",
        ),
        ({"op": "adaptive_avg_pool", "output_size": [0, 1]}, "`output_size` of `adaptive_avg_pool`"),
        ("adaptive_max_pool", "needs `output_size`"),
        ({"op": "pixel_shuffle", "upscale_factor": 2}, "cannot divide 6 channels by 2²; give it a multiple of 4"),
        (
            {"op": "pixel_unshuffle", "downscale_factor": 5},
            "cannot divide a map of 5×7 by 5; put `{op: pad_to_multiple,",
        ),
        ({"op": "global_max_pool", "from": "flat"}, "works on `b c l`, `b c h w`, `b c t h w`, found `b c`"),
    ],
)
def test_refusals(node, said):
    written = {"op": node} if isinstance(node, str) else node
    assert said in refusal({"from": "input", **written}, flat="global_avg_pool")
