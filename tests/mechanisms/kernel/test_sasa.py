"""sasa against the paper's equation, written with loops."""

import numpy as np
import pytest

import composer
from composer.mechanisms.kernel.sasa import StandAloneSelfAttention


@pytest.mark.parametrize("stride", [1, 2])
def test_sasa(stride, slow, randomise, image):
    height, width, heads, p, window = 4, 6, 2, 4, 3
    module, w = randomise(StandAloneSelfAttention(5, 8, height, width, stride, window=window, num_heads=heads))
    x = image(2, 5, height, width)
    expected = []
    for sample in x.numpy():
        q, k, v = (side.T.reshape(8, height, width) for side in np.split(slow.project(w, "qkv", sample), 3, axis=1))
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
        expected.append(slow.average(y, stride))
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StandAloneSelfAttention(64, 64, 6, 9), "window=7 is larger than the map 6×9; use 5 or less"),
        (lambda: StandAloneSelfAttention(8, 8, 7, 7), "heads of 1 channels have no halves; set num_heads to 4"),
        (lambda: StandAloneSelfAttention(9, 9, 7, 7, num_heads=3), "9 channels never do, replace a convolution with"),
    ],
)
def test_refusals(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_inside_resnet50():
    rule = {"use": "sasa", "replace": "spatial_conv", "where": "stage == 4"}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).inserted
