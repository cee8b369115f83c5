import math

import numpy as np
import pytest
import torch
from timm.layers.split_attn import SplitAttn

from composer.mechanisms.kernel.splat import SplitAttention


def equation(slow, w, sample, radix, cardinality, stride=1, dilation=1):
    """One image; groups are taken apart one by one."""
    k = w["conv.weight"].shape[-1]
    groups = max(radix, 1) * cardinality
    padding = dilation * (k // 2)
    u = slow.conv2d(sample, w["conv.weight"], stride=stride, padding=padding, dilation=dilation, groups=groups)
    u = np.maximum(slow.batch_norm(u, w, "bn0"), 0)
    if radix == 0:
        return u
    outputs = len(u) // radix
    branches = [u[r * outputs : (r + 1) * outputs] for r in range(radix)]
    s = sum(branches).mean((1, 2))
    z = slow.conv2d(s[:, None, None], w["fc1.weight"], w["fc1.bias"], groups=cardinality)
    if "bn1.weight" in w:
        z = slow.batch_norm(z, w, "bn1")
    logits = slow.conv2d(np.maximum(z, 0), w["fc2.weight"], w["fc2.bias"], groups=cardinality)[:, 0, 0]
    y = np.zeros_like(branches[0])
    width = outputs // cardinality
    for group in range(cardinality):
        for channel in range(width):
            # fc2 gives each cardinal group its R times o / K logits, radix by radix.
            scores = [logits[group * radix * width + r * width + channel] for r in range(radix)]
            shares = slow.softmax(scores) if radix > 1 else [slow.sigmoid(scores[0])]
            at = group * width + channel
            y[at] = sum(share * branch[at] for share, branch in zip(shares, branches, strict=True))
    return y


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(("radix", "cardinality"), [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2), (4, 1)])
def test_equals_the_equations(radix, cardinality, norm, slow, randomise, image):
    options = {"radix": radix, "cardinality": cardinality, "floor": 4, "norm": norm}
    module, w = randomise(SplitAttention(8, 4, 3, 2, **options))
    x = image(2, 8, 5, 6)
    expected = np.stack([equation(slow, w, sample, radix, cardinality, stride=2) for sample in x.numpy()])
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_by_hand():
    """Branches 2 and 4 with logits 0 and ln 3: shares 1/4 and 3/4, 3.5 in all."""
    module = SplitAttention(2, 1, 1, radix=2, floor=1, norm="none").double().eval()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.zero_()
        module.conv.weight.fill_(1)
        module.bn0.weight.fill_(1)
        module.bn0.running_var.fill_(1 - module.bn0.eps)
        module.fc2.bias.copy_(torch.tensor([0, math.log(3)]))
    y = module(torch.tensor([2.0, 4.0], dtype=torch.float64).reshape(1, 2, 1, 1))
    assert y.item() == pytest.approx(3.5, abs=1e-7)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("radix", "cardinality"), [(1, 1), (2, 1), (2, 2), (4, 1)])
def test_equals_timm(radix, cardinality, training, randomise):
    theirs, _ = randomise(SplitAttn(64, radix=radix, groups=cardinality, stride=2, norm_layer=torch.nn.BatchNorm2d))
    ours = SplitAttention(64, 64, 3, 2, groups=cardinality, radix=radix).double()
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 64, 7, 9, dtype=torch.float64)
    ours.train(training), theirs.train(training)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("avd", ["before", "after"])
def test_a_pool_takes_the_stride_over(avd, randomise, image):
    module, _ = randomise(SplitAttention(8, 8, 3, 2, floor=4, avd=avd))
    same, _ = randomise(SplitAttention(8, 8, 3, 1, floor=4))
    same.load_state_dict(module.state_dict())
    pool = torch.nn.AvgPool2d(3, 2, padding=1)
    x = image(2, 8, 7, 9)
    expected = same(pool(x)) if avd == "before" else pool(same(x))
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)
    assert SplitAttention(8, 8, 3, 1, avd=avd).conv.stride == (1, 1)


def test_shares_sum_to_one(image):
    module = SplitAttention(8, 8, radix=4, cardinality=2, floor=4).double().eval()
    shares = module.attention(image(3, 8, 5, 5))
    assert shares.shape == (3, 4, 8, 1, 1)
    torch.testing.assert_close(shares.sum(1), torch.ones(3, 8, 1, 1, dtype=torch.float64))
    with pytest.raises(NotImplementedError, match="has no attention"):
        SplitAttention(8, 8, radix=0).attention(image(1, 8, 5, 5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radix": 3}, "8 input channels do not divide into 3 splits; set radix to 2 or 4"),
        ({"cardinality": 8}, "4 input channels of each of 2 splits do not divide into 8 groups; set cardinality to 4"),
        ({"cardinality": 4, "floor": 6}, "6 hidden channels do not divide into 4 groups; set cardinality to 2"),
    ],
)
def test_refusals(options, said):
    with pytest.raises(ValueError, match=said):
        SplitAttention(8, 8, **options)


def test_a_plain_convolution_has_no_hidden_width_to_divide():
    module = SplitAttention(24, 24, groups=3, radix=0)
    assert sum(p.numel() for p in module.parameters()) == 9 * 24 * 8 + 2 * 24
