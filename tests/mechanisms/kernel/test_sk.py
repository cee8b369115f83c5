import math

import numpy as np
import pytest
import torch
from timm.layers.selective_kernel import SelectiveKernel as TimmSelectiveKernel

from composer.mechanisms.kernel.sk import SelectiveKernel

PLACES = [
    {},
    {"stride": 2},
    {"groups": 2},
    {"dilation": 2, "stride": 2, "groups": 4},
    {"kernel_size": 5},
    {"kernel_size": 1},
]


@pytest.mark.parametrize("branches", [1, 2, 3])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_equals_the_equations(place, branches, slow, randomise, image):
    module, w = randomise(SelectiveKernel(4, 8, **place, branches=branches, reduction=2, floor=3))
    k, dilation = place.get("kernel_size", 3), place.get("dilation", 1)
    x = image(2, 4, 5, 6)
    maps, shares = [], []
    for sample in x.numpy():
        features = []
        for branch in range(branches):
            step = dilation * (branch + 1)
            u = slow.conv2d(
                sample,
                w[f"paths.{branch}.conv.weight"],
                stride=place.get("stride", 1),
                padding=step * (k - 1) // 2,
                dilation=step,
                groups=place.get("groups", 1),
            )
            features.append(np.maximum(slow.batch_norm(u, w, f"paths.{branch}.bn"), 0))
        s = np.array([np.mean([v for u in features for v in u[c].flat]) * branches for c in range(8)])
        z = np.maximum(slow.batch_norm(slow.linear(w["attn.fc_reduce.weight"], None, s), w, "attn.bn"), 0)
        rows = w["attn.fc_select.weight"].reshape(branches, 8, -1)
        share = np.empty((branches, 8))
        for c in range(8):
            logits = [sum(rows[m, c] * z) for m in range(branches)]
            share[:, c] = slow.softmax(logits) if branches > 1 else slow.sigmoid(logits[0])
        maps.append([sum(share[m, c] * features[m][c] for m in range(branches)) for c in range(8)])
        shares.append(share)
    np.testing.assert_allclose(module(x).detach().numpy(), np.array(maps), rtol=0, atol=1e-9)
    attention = module.attention(x).detach().numpy()
    np.testing.assert_allclose(attention[..., 0, 0], np.array(shares), rtol=0, atol=1e-9)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("place", [{"stride": 2}, {"groups": 8, "dilation": 2}], ids=str)
def test_equals_timm(place, training, randomise):
    theirs, _ = randomise(TimmSelectiveKernel(64, 32, **place, split_input=False, rd_divisor=32))
    ours = SelectiveKernel(64, 32, **place).double()
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 64, 9, 8, dtype=torch.float64)
    ours.train(training), theirs.train(training)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


def test_by_hand():
    """Branches give 1 and 3; z = 4/4; logits 0 and ln 3; shares 1/4 and 3/4; 1/4 + 9/4 = 5/2."""
    module = SelectiveKernel(1, 1, floor=1).double().eval()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_var.fill_(1 - layer.eps)
        for path, tap in zip(module.paths, (1, 3), strict=True):
            path.conv.weight.zero_()[0, 0, 1, 1] = tap
        module.attn.fc_reduce.weight.fill_(0.25)
        module.attn.fc_select.weight.copy_(torch.tensor([0, math.log(3)], dtype=torch.float64).reshape(2, 1, 1, 1))
    x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), torch.full_like(x, 2.5), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("o", "groups", "branches"), [(64, 32, 2), (64, 1, 3), (1024, 32, 2), (64, 64, 1)])
def test_parameters(o, groups, branches):
    c, d = 64, max(o // 16, 32)
    expected = branches * (9 * o * c // groups + 2 * o) + o * d + 2 * d + branches * o * d
    module = SelectiveKernel(c, o, groups=groups, branches=branches)
    assert sum(p.numel() for p in module.parameters()) == expected


def test_every_weight_of_a_single_branch_learns():
    # Of four units, all may be behind a closed ReLU by chance.
    torch.manual_seed(0)
    module = SelectiveKernel(8, 8, branches=1, floor=4).eval()
    module(torch.randn(2, 8, 5, 5)).square().sum().backward()
    assert module.attn.fc_select.weight.grad.abs().sum() > 0


def test_takes_pairs():
    module = SelectiveKernel(8, 8, (3, 3), (2, 1), dilation=(1, 2)).eval()
    assert module(torch.randn(1, 8, 8, 9)).shape == (1, 8, 4, 9)


HOSTS = [
    (3, 2, 0, 1),
    (3, 2, 1, 1),
    (3, (1, 2), 2, 2),
    ((1, 7), 1, (0, 3), 1),
    ((7, 1), 1, (3, 0), 1),
    ((1, 7), 1, 0, 1),
]


@pytest.mark.parametrize("branches", [1, 2, 3])
@pytest.mark.parametrize("place", HOSTS, ids=str)
def test_gives_the_size_that_its_convolution_gives(place, branches):
    x = torch.randn(1, 8, 13, 16)
    kernel, stride, padding, dilation = place
    host = torch.nn.Conv2d(8, 4, kernel, stride, padding, dilation)
    module = SelectiveKernel(8, 4, kernel, stride, padding, dilation, branches=branches).eval()
    assert module(x).shape == host(x).shape


@pytest.mark.parametrize(("kernel", "found"), [(2, "2x2"), ((1, 4), "1x4")])
def test_refuses_other_kernels(kernel, found):
    with pytest.raises(ValueError, match=f"sk: the convolution's kernel is {found}; replace one that is odd"):
        SelectiveKernel(8, 8, kernel)


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="sk: 8 input channels do not divide into 3 groups; set groups to 2 or 4"):
        SelectiveKernel(8, 8, groups=3)


def test_stays_in_half_precision_under_autocast():
    """The softmax is in float32; the maps it weighs are not."""
    with torch.autocast("cpu", torch.bfloat16):
        module = SelectiveKernel(16, 16)
        assert module.attention(x := torch.randn(2, 16, 5, 5)).dtype == torch.float32
        assert module(x).dtype == torch.bfloat16
