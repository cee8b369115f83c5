"""sa, nl, bot and sasa against the papers' equations, written with loops."""

import math

import numpy as np
import pytest
import torch
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.non_local_attn import NonLocalAttn

import composer
from composer.mechanisms.all_positions.nl import NonLocal
from composer.mechanisms.kernel.bot import BottleneckSelfAttention
from composer.mechanisms.kernel.sasa import StandAloneSelfAttention
from composer.mechanisms.token.mhsa import MultiHeadSelfAttention
from composer.mechanisms.token.sa import SelfAttention


def project(w, name, sample):
    """A 1×1 convolution of c h w, as positions × channels."""
    weight = w[f"{name}.weight"][:, :, 0, 0]
    flat = np.array([weight @ sample[:, i, j] for i in range(sample.shape[1]) for j in range(sample.shape[2])])
    return flat + w[f"{name}.bias"] if f"{name}.bias" in w else flat


def average(y, stride):
    _, height, width = y.shape
    blocks = [
        [y[:, i : i + stride, j : j + stride].mean((1, 2)) for j in range(0, width, stride)]
        for i in range(0, height, stride)
    ]
    return np.array(blocks).transpose(2, 0, 1)


@pytest.mark.parametrize("mode", ["soft", "hard"])
@pytest.mark.parametrize("bias", [True, False])
def test_sa(mode, bias, slow, randomise):
    module, w = randomise(SelfAttention(6, head_dim=4, bias=bias, mode=mode))
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    expected = np.empty(x.shape)
    for n, tokens in enumerate(x.numpy()):
        qkv = np.array([slow.linear(w["qkv.weight"], w.get("qkv.bias"), token) for token in tokens])
        q, k, v = qkv[:, :4], qkv[:, 4:8], qkv[:, 8:]
        for i in range(5):
            scores = [q[i] @ k[j] / 2 for j in range(5)]
            shares = slow.softmax(scores) if mode == "soft" else np.eye(5)[int(np.argmax(scores))]
            mixture = sum(share * value for share, value in zip(shares, v, strict=True))
            expected[n, i] = slow.linear(w["proj.weight"], w.get("proj.bias"), mixture)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_hard_attention_has_the_gradient_of_the_soft(randomise):
    soft, _ = randomise(MultiHeadSelfAttention(8, num_heads=2))
    hard, _ = randomise(MultiHeadSelfAttention(8, num_heads=2, mode="hard"))
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    weights = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    for module in (soft, hard):
        (module.attention(x) * weights).sum().backward()
    torch.testing.assert_close(hard.qkv.weight.grad, soft.qkv.weight.grad)
    map_ = hard.attention(x)
    assert set(map_.detach().round(decimals=9).unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(map_.argmax(-1), soft.attention(x).argmax(-1))


@pytest.mark.parametrize("sub_sample", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_nl(sub_sample, scale, slow, randomise, image):
    module, w = randomise(NonLocal(6, 5, 4, sub_sample=sub_sample, scale=scale))
    x = image(2, 6, 5, 4)
    expected = np.empty(x.shape)
    for n, sample in enumerate(x.numpy()):
        seen = sample
        if sub_sample:
            # The map itself is pooled, before the projections: the paper's section 3.3, and the authors' code.
            seen = np.array([sample[:, i : i + 2, j : j + 2].max((1, 2)) for i in (0, 2) for j in (0, 2)]).T[..., None]
        q, k, v = project(w, "theta", sample), project(w, "phi", seen), project(w, "g", seen)
        factor = 3**-0.5 if scale else 1.0
        mixed = np.array([slow.softmax([factor * (one @ key) for key in k]) @ v for one in q])
        added = project(w, "proj", mixed.T.reshape(3, 5, 4)).T.reshape(6, 5, 4)
        expected[n] = sample + slow.batch_norm(added, w, "bn")
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_nl_starts_as_the_identity(image):
    x = image(2, 6, 5, 4)
    assert torch.equal(NonLocal(6, 5, 4).double()(x), x)


def test_nl_equals_timm(randomise):
    theirs, _ = randomise(NonLocalAttn(16, rd_ratio=0.5, rd_divisor=1, use_scale=False))
    ours = NonLocal(16, 5, 6).double().eval()
    names = {"t": "theta", "p": "phi", "g": "g", "z": "proj", "norm": "bn"}
    parts = {key.partition("."): tensor for key, tensor in theirs.state_dict().items()}
    ours.load_state_dict({f"{names[first]}.{rest}": tensor for (first, _, rest), tensor in parts.items()})
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
def test_bot(stride, slow, randomise, image):
    height, width, heads, p = 4, 6, 2, 3
    module, w = randomise(BottleneckSelfAttention(5, 6, height, width, stride, num_heads=heads))
    x = image(2, 5, height, width)
    positions = [(i, j) for i in range(height) for j in range(width)]
    expected = []
    for sample in x.numpy():
        q, k, v = np.split(project(w, "qkv", sample), 3, axis=1)
        y = np.empty((6, height, width))
        for head in range(heads):
            own = slice(head * p, (head + 1) * p)
            for a, (i, j) in enumerate(positions):
                scores = []
                for b, (r, s) in enumerate(positions):
                    offset = w["row"][r - i + height - 1] + w["column"][s - j + width - 1]
                    scores.append(q[a, own] @ (k[b, own] + offset) / math.sqrt(p))
                y[own, i, j] = slow.softmax(scores) @ v[:, own]
        expected.append(average(y, stride))
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected), rtol=0, atol=1e-9)


def test_bot_equals_timm(randomise):
    theirs, _ = randomise(BottleneckAttn(16, feat_size=(4, 6), num_heads=4, qk_ratio=1.0, scale_pos_embed=True))
    ours = BottleneckSelfAttention(16, 16, 4, 6).double().eval()
    names = {"qkv.weight": "qkv.weight", "pos_embed.height_rel": "row", "pos_embed.width_rel": "column"}
    ours.load_state_dict({names[name]: tensor for name, tensor in theirs.state_dict().items()})
    x = torch.randn(2, 16, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
def test_sasa(stride, slow, randomise, image):
    height, width, heads, p, window = 4, 6, 2, 4, 3
    module, w = randomise(StandAloneSelfAttention(5, 8, height, width, stride, window=window, num_heads=heads))
    x = image(2, 5, height, width)
    expected = []
    for sample in x.numpy():
        q, k, v = (side.T.reshape(8, height, width) for side in np.split(project(w, "qkv", sample), 3, axis=1))
        y = np.empty((8, height, width))
        for head in range(heads):
            own = slice(head * p, (head + 1) * p)
            for i in range(height):
                for j in range(width):
                    scores, values = [], []
                    for a in range(window):
                        for b in range(window):
                            r, s = i + a - 1, j + b - 1
                            inside = 0 <= r < height and 0 <= s < width
                            key = k[own, r, s] if inside else np.zeros(p)
                            offset = np.concatenate([w["row"][a, head], w["column"][b, head]])
                            scores.append(q[own, i, j] @ (key + offset))
                            values.append(v[own, r, s] if inside else np.zeros(p))
                    y[own, i, j] = slow.softmax(scores) @ np.array(values)
        expected.append(average(y, stride))
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected), rtol=0, atol=1e-9)


def test_by_hand():
    """Tokens 0 and 2, q = 0: each takes the mean, 1. A logit of ln 3 for its own row: the second takes 3/4 of 2."""
    module = BottleneckSelfAttention(1, 1, 2, 1, num_heads=1).double()
    with torch.no_grad():
        module.qkv.weight.copy_(torch.tensor([0.0, 0.0, 1.0]).reshape(3, 1, 1, 1))
        module.column.zero_()
    x = torch.tensor([0.0, 2.0], dtype=torch.float64).reshape(1, 1, 2, 1)
    torch.testing.assert_close(module(x), torch.ones_like(x))
    with torch.no_grad():
        module.qkv.weight[0] = 1
        module.row.copy_(torch.tensor([[0.0], [math.log(3) / 2], [0.0]]))
    # The query of the token 2 is 2: its own row scores ln 3, the other 0.
    assert module(x)[0, 0, 1, 0].item() == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MultiHeadSelfAttention(100, num_heads=8), "do not divide into 8 heads; set num_heads to 5 or 10"),
        (
            lambda: BottleneckSelfAttention(64, 30, 7, 7),
            r"bot: 30 channels do not divide into 4 heads; set num_heads to 3 or 5$",
        ),
        (lambda: NonLocal(8, 1, 7, sub_sample=True), "sub_sample pools 2×2, the map is 1×7"),
        (lambda: StandAloneSelfAttention(64, 64, 6, 9), "window=7 is larger than the map 6×9; use 5 or less"),
        (lambda: StandAloneSelfAttention(8, 8, 7, 7), "heads of 1 channels have no halves; set num_heads to 4"),
        (lambda: StandAloneSelfAttention(9, 9, 7, 7, num_heads=3), "9 channels never do, replace a convolution with"),
        (lambda: BottleneckSelfAttention(8, 8, 7, 7)(torch.zeros(1, 8, 7, 8)), "built for maps of 7×7, found 7×8"),
    ],
)
def test_refusals(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("rule", [
    {"use": "bot", "replace": "spatial_conv", "where": "stage == 4"},
    {"use": "sasa", "replace": "spatial_conv", "where": "stage == 4"},
    {"use": "mhsa", "after": "spatial_conv", "where": "stage == 4"},
    {"use": "nl", "after": "block", "where": "stage == 3 and block in [2, 4, 6]"},
])  # fmt: skip
def test_inside_resnet50(rule):
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).inserted


def test_another_mixer_in_vit():
    graph = composer.graph({"backbone": "vit_base_patch16_224", "attention": [{"use": "sa", "replace": "mixer"}]})
    assert len(graph.inserted) == 12


def test_bot_holds_nothing_that_its_state_dict_lacks():
    module, x = BottleneckSelfAttention(8, 8, 5, 4), torch.randn(2, 8, 5, 4)
    with torch.device("meta"):
        other = BottleneckSelfAttention(8, 8, 5, 4)
    other.to_empty(device="cpu").load_state_dict(module.state_dict())
    assert not list(other.buffers())
    assert torch.equal(other(x), module(x))
