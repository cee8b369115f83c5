"""nl against the paper's equation, written with loops, and timm."""

import numpy as np
import pytest
import torch
from timm.layers.non_local_attn import NonLocalAttn

import composer
from composer.mechanisms.all_positions.nl import NonLocal


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
        q, k, v = slow.project(w, "theta", sample), slow.project(w, "phi", seen), slow.project(w, "g", seen)
        factor = 3**-0.5 if scale else 1.0
        mixed = np.array([slow.softmax([factor * (one @ key) for key in k]) @ v for one in q])
        added = slow.project(w, "proj", mixed.T.reshape(3, 5, 4)).T.reshape(6, 5, 4)
        expected[n] = sample + slow.batch_norm(added, w, "bn")
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_it_starts_as_the_identity(image):
    x = image(2, 6, 5, 4)
    assert torch.equal(NonLocal(6, 5, 4).double()(x), x)


def test_it_equals_timm(randomise):
    theirs, _ = randomise(NonLocalAttn(16, rd_ratio=0.5, rd_divisor=1, use_scale=False))
    ours = NonLocal(16, 5, 6).double().eval()
    names = {"t": "theta", "p": "phi", "g": "g", "z": "proj", "norm": "bn"}
    parts = {key.partition("."): tensor for key, tensor in theirs.state_dict().items()}
    ours.load_state_dict({f"{names[first]}.{rest}": tensor for (first, _, rest), tensor in parts.items()})
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


def test_a_map_too_small_to_pool_is_refused():
    with pytest.raises(ValueError, match="sub_sample pools 2×2, the map is 1×7"):
        NonLocal(8, 1, 7, sub_sample=True)


def test_inside_resnet50():
    rule = {"use": "nl", "after": "block", "where": "stage == 3 and block in [2, 4, 6]"}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).inserted
