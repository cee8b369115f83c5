"""Window attention against its equation pixel by pixel, and the merging of patches by hand."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.layers.window import WindowAttention, merge_patches


def slow(layer: WindowAttention, x: torch.Tensor, window: int, shift: int) -> torch.Tensor:
    """Each position looks at those of its window in the rolled map that are as far off in the map itself."""
    height, width, channels = x.shape
    rows, columns = min(window, height), min(window, width)
    down, right = (shift if length > window else 0 for length in (height, width))
    heads = layer.num_heads
    # A map that does not divide is padded behind the roll: those positions have a query, key and value as well.
    tall, wide = -(-height // rows) * rows, -(-width // columns) * columns
    padded = torch.zeros(tall, wide, channels, dtype=x.dtype)
    for y in range(height):
        for z in range(width):
            padded[y, z] = x[(y + down) % height, (z + right) % width]
    q, k, v = layer.qkv(padded).view(tall, wide, 3, heads, -1).unbind(2)
    result = torch.zeros_like(x)

    def region(position: int, length: int, side: int, moved: int) -> int:
        return 0 if not moved or position < length - side else 1 if position < length - moved else 2

    for y in range(height):
        for z in range(width):
            seen = [
                (a, b)
                for a in range(y // rows * rows, y // rows * rows + rows)
                for b in range(z // columns * columns, z // columns * columns + columns)
                if region(a, tall, rows, down) == region(y, tall, rows, down)
                and region(b, wide, columns, right) == region(z, wide, columns, right)
            ]
            mixed = []
            for head in range(heads):
                logits = torch.stack(
                    [
                        q[y, z, head] @ k[a, b, head] / (channels // heads) ** 0.5
                        + layer.relative_position_bias_table[
                            (y - a + rows - 1) * (2 * columns - 1) + z - b + columns - 1, head
                        ]
                        for a, b in seen
                    ]
                )
                values = torch.stack([v[a, b, head] for a, b in seen])
                mixed.append(logits.softmax(0) @ values)
            result[(y + down) % height, (z + right) % width] = layer.proj(torch.cat(mixed))
    return result


@pytest.mark.parametrize(
    ("height", "width", "window", "shift"),
    [(6, 6, 3, 0), (6, 6, 3, 1), (8, 4, 4, 2), (5, 7, 3, 1), (2, 9, 4, 2), (3, 3, 7, 3)],
)
def test_each_position_mixes_its_window(height, width, window, shift):
    generator = torch.Generator().manual_seed(0)
    layer = WindowAttention(6, height, width, num_heads=2, window=window, shift=shift).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x = torch.randn(2, height, width, 6, dtype=torch.float64, generator=generator)
    found = layer(x)
    assert torch.allclose(found, torch.stack([slow(layer, one, window, shift) for one in x]), atol=1e-12)


def test_of_a_shifted_map_the_edges_do_not_see_one_another():
    layer = WindowAttention(2, 4, 4, num_heads=1, window=2, shift=1)
    x = torch.randn(1, 4, 4, 2, requires_grad=True)
    layer(x)[0, 0, 0].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).nonzero().tolist() == [[0, 0]]
    x.grad = None
    layer(x)[0, 1, 1].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_what_window_attention_refuses():
    with pytest.raises(ValueError, match="10 channels do not divide into 3 heads"):
        WindowAttention(10, 4, 4, num_heads=3)
    with pytest.raises(ValueError, match="set shift to 3"):
        WindowAttention(6, 4, 4, num_heads=3, shift=7)
    with pytest.raises(ValueError, match="built for maps of 4×4, found 4×8"):
        WindowAttention(6, 4, 4, num_heads=3)(torch.zeros(1, 4, 8, 6))
    spec = {"input": [6, 4, 4], "nodes": {"tested": {"op": "window_attention", "num_heads": 2}}}
    with pytest.raises(composer.GraphError, match="works on `b h w c`, found `b c h w`"):
        composer.graph(spec)


def test_a_patch_goes_into_the_channels():
    x = torch.arange(6.0).view(1, 2, 3, 1)
    assert merge_patches(x).tolist() == [[[[0, 3, 1, 4], [2, 5, 0, 0]]]]
