"""Sequences, images and videos: convolutions, norms, pools and gates on maps of one, two and three dimensions."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from layers.conftest import refusal, run
from torch import nn

import composer
from composer import registry
from composer.contract.behaviour import keeps_the_shape
from composer.contract.subject import Failure, Subject
from composer.registry import ANY_MAP, MAPS

SHAPES = {"b c l": (2, 6, 8), "b c h w": (2, 6, 8, 7), "b c t h w": (2, 6, 4, 8, 7)}
VARIANTS = ("se_var1", "se_var2", "se_var3")
# Gates with a number per channel; others on any map have tests of their own.
GATES = [
    entry.name
    for entry in registry.mechanisms()
    if entry.works_on == ANY_MAP and (entry.group == "channel" or entry.name == "ge_minus")
]


@pytest.fixture(params=MAPS)
def layout(request):
    return request.param


@pytest.fixture
def x(layout):
    return torch.randn(SHAPES[layout], dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def of_torch(kind: str, layout: str):
    return getattr(nn, f"{kind}{layout.count(' ') - 1}d")


@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_are_torchs(bias):
    options = {"out_channels": 4, "groups": 2, "bias": bias}
    for op, layout, more in (
        ("conv1d", "b c l", {"kernel_size": 3, "stride": 2}),
        ("conv3d", "b c t h w", {"kernel_size": [1, 3, 3], "stride": [1, 2, 1], "dilation": [1, 1, 2]}),
    ):
        x = torch.randn(SHAPES[layout], dtype=torch.float64)
        y, found, model = run({"op": op, **options, **more}, x, layout=layout)
        theirs = getattr(nn, op.replace("conv", "Conv"))(
            6, padding=1 if op == "conv1d" else (0, 1, 2), **options, **more
        ).double()
        theirs.load_state_dict(model.tested.state_dict())
        assert torch.equal(y, theirs(x))
        assert found == layout
        assert type(model.tested) is type(theirs)
        assert model.graph.num_macs == y[0].numel() * theirs.weight[0].numel()


@pytest.mark.parametrize("law", ["he", "he_per_group", "he_fan_in", "xavier_normal"])
def test_laws_of_convolutions_hold_for_all_kernels(law):
    wanted = {"he": 2 / (27 * 64), "he_per_group": 2 * 2 / (27 * 64), "he_fan_in": 2 / (27 * 16)}
    node = {"op": "conv3d", "out_channels": 64, "kernel_size": 3, "groups": 2, "init": law}
    spec = {"input": {"shape": [32, 4, 4, 4], "layout": "b c t h w"}, "nodes": {"tested": node}}
    variance = composer.build(spec).tested.weight.var().item()
    assert variance == pytest.approx(wanted.get(law, 2 / (27 * 16 + 27 * 64)), rel=0.05)


def test_norms_and_pools_are_torchs(layout, x):
    y, found, model = run("batch_norm", x, layout=layout)
    assert type(model.tested) is of_torch("BatchNorm", layout)
    assert torch.allclose(y, x / (1 + 1e-5) ** 0.5)
    assert found == layout
    for ours, theirs in (("max_pool", "MaxPool"), ("avg_pool", "AvgPool")):
        y, found, _ = run({"op": ours, "kernel_size": 3, "stride": 2}, x, layout=layout)
        assert torch.equal(y, of_torch(theirs, layout)(3, 2, 1)(x))
        assert found == layout
    for ours, theirs in (("adaptive_avg_pool", "AdaptiveAvgPool"), ("adaptive_max_pool", "AdaptiveMaxPool")):
        y, _, _ = run({"op": ours, "output_size": 3}, x, layout=layout)
        assert torch.equal(y, of_torch(theirs, layout)(3)(x))
    y, found, _ = run("global_avg_pool", x, layout=layout)
    assert torch.allclose(y, x.flatten(2).mean(2))
    assert found == "b c"
    y, found, _ = run({"op": "global_max_pool", "keepdim": True}, x, layout=layout)
    assert torch.equal(y.flatten(1), x.flatten(2).amax(2))
    assert (found, y.ndim) == (layout, x.ndim)


def test_a_length_for_each_axis():
    x = torch.randn(SHAPES["b c t h w"], dtype=torch.float64)
    y, _, _ = run({"op": "max_pool", "kernel_size": [1, 2, 2]}, x, layout="b c t h w")
    assert torch.equal(y, F.max_pool3d(x, (1, 2, 2)))
    y, _, _ = run({"op": "adaptive_avg_pool", "output_size": [None, 1, 2]}, x, layout="b c t h w")
    assert torch.equal(y, F.adaptive_avg_pool3d(x, (None, 1, 2)))


def test_a_batch_norm_of_vectors_and_maps_joined():
    vector = torch.randn(4, 6, dtype=torch.float64)
    y, found, model = run("batch_norm", vector, layout="b c")
    assert torch.allclose(y, vector / (1 + 1e-5) ** 0.5)
    assert (found, type(model.tested)) == ("b c", nn.BatchNorm1d)
    x = torch.randn(SHAPES["b c t h w"], dtype=torch.float64)
    assert torch.equal(run({"op": "concat"}, x, x, layout="b c t h w")[0], torch.cat([x, x], 1))


def test_sequences_are_joined_by_the_number_of_an_axis():
    x = torch.randn(SHAPES["b c l"], dtype=torch.float64)
    y, found, model = run({"op": "concat", "axis": 1}, x, x, layout="b c l")
    assert torch.equal(y, torch.cat([x, x], 1))
    assert found == "b c l"
    assert "torch.cat([x, input_1], 1)" in model.code
    assert torch.equal(run({"op": "concat", "axis": 2}, x, x, layout="b c l")[0], torch.cat([x, x], 2))
    both = {"op": "concat", "from": ["input", "input"]}
    assert "found `b c l`; set axis to the axis' number, 1" in refusal(both, (6, 8), "b c l")
    assert "`concat` along axis 3 of b×6×8; set dim from 1 to 2" in refusal({**both, "axis": 3}, (6, 8), "b c l")
    short = {"op": "max_pool", "kernel_size": 2, "from": "input"}
    text = refusal({"op": "concat", "from": ["input", "short"], "axis": 1}, (6, 8), "b c l", short=short)
    assert "along `c` takes inputs that are equal in all other axes, found b×6×8 and b×6×4: `l` is 8 and 4" in text


@pytest.mark.parametrize("name", GATES)
def test_gates_see_positions_only_through_their_pool(name, layout, x):
    """A map with its positions in another arrangement has the gates of the image of the same numbers."""
    y, found, model = run({"op": name}, x, layout=layout)
    image = x.flatten(2).unsqueeze(3)
    same = composer.build({"input": list(image.shape[1:]), "nodes": {"tested": {"op": name}}}).double()
    weights = same.state_dict()
    same.load_state_dict({key: value.view(weights[key].shape) for key, value in model.state_dict().items()})
    assert torch.allclose(y, same.eval()(image).view_as(x), atol=1e-12)
    assert found == layout
    gate = model.tested.attention(x)
    assert gate.shape == (*x.shape[:2], *[1] * (x.ndim - 2))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), y)
    assert torch.equal(torch.fx.symbolic_trace(copy.deepcopy(model))(x), y)
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    exported = torch.export.export(model, (x,), dynamic_shapes={"x": batch}).module()
    assert torch.allclose(exported(x[:1]), y[:1], atol=1e-12)


def test_gates_over_an_extent(layout, x):
    y, _, _ = run({"op": "ge_minus", "extent": 2}, x, layout=layout)
    pooled = of_torch("AvgPool", layout)(3, 2, 1, count_include_pad=False)(x)
    torch.testing.assert_close(y, x * F.interpolate(pooled.sigmoid(), size=x.shape[2:]), rtol=1e-12, atol=1e-12)


def test_which_mechanisms_are_such_gates():
    names = {"se", "ese", "eca", "se_var1", "se_var2", "se_var3", "cbam_channel", "bam_channel", "ge_minus"}
    assert names <= set(GATES)


class Flat(nn.Module):
    """A gate that forgets that there are sequences and videos: its result is an image always."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.ndim == 4 else x.flatten(2)[..., None]


def test_check_looks_at_sequences_and_videos(monkeypatch):
    monkeypatch.setattr(registry._state, "entries", dict(registry._state.entries))
    registry.mechanism("flat", kind="channel", layout="b c *")(Flat)
    with pytest.raises(Failure, match=r"it works on `b c \*`, and \(2, 64, 9\) becomes \(2, 64, 9, 1\)"):
        keeps_the_shape(Subject(registry.get_mechanism("flat")))


def test_facts_of_sequences_and_videos():
    spec = {
        "input": {"shape": [3, 4, 8, 6], "layout": "b c t h w"},
        "nodes": {
            "wide": {"op": "conv3d", "out_channels": "${frames + height + width + spatial_dims}", "kernel_size": 1},
            "flat": {"op": "rearrange", "pattern": "b c t h w -> b c (t h w)"},
        },
    }
    graph = composer.graph(spec)
    assert graph.root.nodes["wide"].tensor.channels == 4 + 8 + 6 + 3
    assert graph.root.nodes["flat"].tensor.layout == "b c n"
    line = {"input": {"shape": [3, 9], "layout": "b c l"}, "nodes": {"tested": {"op": "conv1d", "kernel_size": 1}}}
    line["nodes"]["tested"]["out_channels"] = "${length * spatial_dims}"
    assert composer.graph(line).outputs["output"].shape == (2, 9, 9)


@pytest.mark.parametrize(
    ("node", "layout", "said"),
    [
        ({"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "b c t h w", "`conv2d` works on `b c h w`, found"),
        ({"op": "max_pool", "kernel_size": [2, 2]}, "b c t h w", "[2, 2] has 2 lengths for 3 axes"),
        ({"op": "adaptive_avg_pool", "output_size": [1, None]}, "b c t h w", "has 2 lengths for 3 axes"),
        ({"op": "max_pool", "kernel_size": 3, "padding": 2}, "b c l", "set padding to 1 or less"),
        ({"op": "conv3d", "out_channels": 4, "kernel_size": 7, "padding": 0}, "b c t h w", "its window is 7×7×7, and"),
        ("se", "b c", "`se` works on `b c l`, `b c h w`, `b c t h w`, found `b c`"),
        ("batch_norm", "b h w c", "`batch_norm` works on `b c l`, `b c h w`, `b c t h w`, `b c`, found `b h w c`"),
        ({"op": "max_pool", "kernel_size": 2}, "b n c", "`max_pool` works on `b c l`, `b c h w`, `b c t h w`, found"),
    ],
)
def test_refusals(node, layout, said):
    lengths = {"c": 6, "l": 8, "n": 8, "t": 4, "h": 8, "w": 7}
    assert said in refusal(node, tuple(lengths[axis] for axis in layout.split()[1:]), layout)
