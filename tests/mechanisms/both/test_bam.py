import math

import numpy as np
import pytest
import torch

from composer.mechanisms.both.bam import BAM


@pytest.mark.parametrize("dilation", [1, 4])
@pytest.mark.parametrize("fuse", ["multiply", "add"])
def test_equals_the_equation(fuse, dilation, slow, randomise, image):
    module, w = randomise(BAM(8, reduction=4, dilation=dilation, fuse=fuse))
    x = image(2, 8, 6, 7)
    expected = np.empty(x.shape)
    for n, sample in enumerate(x.numpy()):
        z = np.array([sum(v for row in channel for v in row) / 42 for channel in sample])
        hidden = slow.linear(w["channel.fc1.weight"], w["channel.fc1.bias"], z)
        hidden = np.maximum(slow.batch_norm(hidden, w, "channel.bn"), 0)
        p = slow.linear(w["channel.fc2.weight"], w["channel.fc2.bias"], hidden)

        q = sample
        for layer, step in ((1, 0), (2, dilation), (3, dilation)):
            weight, bias = w[f"spatial.conv{layer}.weight"], w[f"spatial.conv{layer}.bias"]
            q = slow.conv2d(q, weight, bias, padding=step, dilation=max(step, 1))
            q = np.maximum(slow.batch_norm(q, w, f"spatial.bn{layer}"), 0)
        q = slow.conv2d(q, w["spatial.conv4.weight"], w["spatial.conv4.bias"])[0]

        for c in range(8):
            expected[n, c] = sample[c] * (1 + slow.sigmoid(p[c] * q if fuse == "multiply" else p[c] + q))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_the_norms_of_the_paper_are_behind_the_last_layers(slow, randomise, image):
    """Equations 3 and 4: BN(MLP(mean)) and BN(f(f(f(f(x))))), added."""
    module, w = randomise(BAM(8, reduction=4, dilation=2, fuse="add", norm_at="last"))
    assert [name for name in w if name.endswith("running_mean")] == [
        "channel.bn.running_mean",
        "spatial.bn4.running_mean",
    ]
    x = image(2, 8, 6, 7)
    expected = np.empty(x.shape)
    for n, sample in enumerate(x.numpy()):
        hidden = slow.linear(w["channel.fc1.weight"], w["channel.fc1.bias"], sample.mean((1, 2)))
        p = slow.linear(w["channel.fc2.weight"], w["channel.fc2.bias"], np.maximum(hidden, 0))
        p = slow.batch_norm(p, w, "channel.bn")
        q = sample
        for layer, step in ((1, 0), (2, 2), (3, 2)):
            weight, bias = w[f"spatial.conv{layer}.weight"], w[f"spatial.conv{layer}.bias"]
            q = np.maximum(slow.conv2d(q, weight, bias, padding=step, dilation=max(step, 1)), 0)
        q = slow.conv2d(q, w["spatial.conv4.weight"], w["spatial.conv4.bias"])
        q = slow.batch_norm(q, w, "spatial.bn4")[0]
        expected[n] = sample * (1 + slow.sigmoid(p[:, None, None] + q))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("fuse", "q", "y"), [("multiply", 1, 3.5), ("add", 0, 3.5), ("multiply", 0, 3.0)])
def test_by_hand(fuse, q, y):
    """On a map of twos p = ln 3, so sigmoid(p * 1) = sigmoid(p + 0) = 3/4 and sigmoid(p * 0) = 1/2."""
    module = BAM(1, fuse=fuse).double().eval()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_var.fill_(1 - layer.eps)
        module.channel.fc1.weight.fill_(1)
        module.channel.fc2.weight.fill_(math.log(3) / 2)
        module.spatial.conv1.weight.fill_(1)
        for layer in (module.spatial.conv2, module.spatial.conv3):
            layer.weight.zero_()[0, 0, 1, 1] = 1
        module.spatial.conv4.weight.fill_(q / 2)
    x = torch.full((1, 1, 3, 3), 2.0, dtype=torch.float64)
    torch.testing.assert_close(module(x), torch.full_like(x, y), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (64, 4), (8, 16)])
def test_parameters(channels, reduction):
    c, d = channels, max(1, channels // reduction)
    module = BAM(channels, reduction=reduction)
    assert sum(p.numel() for p in module.parameters()) == 3 * c * d + 18 * d**2 + c + 13 * d + 1
    spatial = sum(p.numel() for p in module.spatial.parameters())
    assert spatial == c * d + 18 * d**2 + 10 * d + 1


def test_dilated_layers_are_distinct():
    spatial = BAM(64).spatial
    assert spatial.conv2.weight is not spatial.conv3.weight
    assert spatial.bn2.weight is not spatial.bn3.weight


def test_refuses_an_unknown_fuse():
    with pytest.raises(ValueError, match="bam: unknown fuse 'mul'; use multiply or add"):
        BAM(64, fuse="mul")


def test_halves_gate_alone(randomise, image):
    """With the other half at 0, sigmoid(p + 0) is the half's own gate."""
    whole, w = randomise(BAM(8, reduction=4, fuse="add"))
    x = image(2, 8, 6, 7)
    for half, other in (("channel", "spatial"), ("spatial", "channel")):
        alone, blind = getattr(whole, half), getattr(whole, other)
        last = blind.fc2 if other == "channel" else blind.conv4
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
        torch.testing.assert_close(whole(x), alone(x), rtol=0, atol=1e-12)
        whole.load_state_dict({name: torch.from_numpy(value) for name, value in w.items()})


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_other_norms_train_on_one_image(norm):
    module = BAM(16, reduction=4, norm=norm).train()
    assert module(torch.randn(1, 16, 5, 5)).shape == (1, 16, 5, 5)


def test_a_layer_norm_of_one_number_would_forget_it():
    with pytest.raises(ValueError, match="use `norm: none`, or a smaller reduction"):
        BAM(16, norm="layer")
