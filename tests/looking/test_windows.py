"""Swin's windows on the map: timm's weights of attention, laid where the windows were cut."""

from __future__ import annotations

import math

import pytest
import torch

import composer
from composer.layers.window import WindowAttention
from composer.looking.chosen import choose
from composer.looking.forms import WindowMaps
from composer.looking.gather import gather
from composer.looking.queries import attended, bounds, evenness, looks_from, reach
from composer.looking.sites import Site
from composer.looking.tokens import tokens_section


def timms_attention(peer, x):
    """The weights of each of timm's window attentions, (b windows) heads n n, by path."""
    found = {}
    handles = []
    for path, module in peer.named_modules():
        if path.endswith(".attn"):
            note = lambda module, inputs, output, path=path: found.update({path: output})  # noqa: E731
            handles.append(module.softmax.register_forward_hook(note))
    with torch.no_grad():
        peer(x)
    return found


def numbers_of_windows(block, size):
    """Which position each place of timm's windows holds, windows n; -1 where it padded."""
    swin = pytest.importorskip("timm.models.swin_transformer")
    numbers = torch.arange(size[0] * size[1], dtype=torch.float32).view(1, *size, 1)
    down, right = block.shift_size
    rolled = torch.roll(numbers, (-down, -right), (1, 2))
    rows, columns = block.window_size
    rolled = torch.nn.functional.pad(rolled, (0, 0, 0, -size[1] % columns, 0, -size[0] % rows), value=-1)
    return swin.window_partition(rolled, block.window_size).flatten(1).long()


# Maps of 16 and 8 divide into windows of 4; those of 18, 9 and 5 are padded.
@pytest.mark.parametrize("side", [32, 36])
def test_where_every_position_looks_is_timms(side):
    timm = pytest.importorskip("timm")
    options = {"dim": 12, "depths": [2, 2, 2, 1], "heads": [1, 2, 3, 4], "window": 4, "patch": 2, "num_classes": 4}
    model = composer.build({"backbone": "swin", "input": {"shape": [3, side, side]}, "vars": options}).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    peer = timm.models.swin_transformer.SwinTransformer(
        img_size=side, patch_size=2, embed_dim=12, depths=(2, 2, 2, 1), num_heads=(1, 2, 3, 4), window_size=4
    )
    peer.reset_classifier(4)
    peer.load_state_dict(model.state_dict(), strict=False)
    x = torch.randn(2, 3, side, side, generator=generator)
    theirs = timms_attention(peer.eval(), x)
    ours = gather(model, x).of(WindowMaps)
    assert [one.site.path for one in ours] == [path.removesuffix(".softmax") for path in theirs]
    for one in ours:
        block = peer.get_submodule(one.site.path.removesuffix(".attn"))
        numbers, (height, width) = numbers_of_windows(block, one.site.grid), one.site.grid
        weights = theirs[one.site.path].unflatten(0, (2, -1))
        for window, places in enumerate(numbers):
            for row, place in enumerate(places.tolist()):
                if place < 0:
                    continue
                expected = torch.zeros(weights.shape[2], height * width)
                inside = places >= 0
                expected[:, places[inside]] = weights[1, window, :, row][:, inside]
                found = looks_from(one, 1, divmod(place, width))
                assert torch.allclose(found.flatten(1), expected, atol=1e-6)


def site(grid, attended=None):
    return Site("a", "window_attention", "token", "positions", False, None, None, None, {}, grid, None, attended)


def test_a_shifted_window_by_hand():
    layer = WindowAttention(2, 4, 4, num_heads=1, window=2, shift=1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    found = WindowMaps(site((4, 4), layer.attended), layer.attention(torch.randn(1, 4, 4, 2)).detach())
    # The middle window is whole; of what the roll brought together, a corner sees itself and an edge its pair.
    for patch, seen in {(1, 1): {(1, 1), (1, 2), (2, 1), (2, 2)}, (0, 0): {(0, 0)}, (0, 3): {(0, 3)}}.items():
        assert set(map(tuple, (looks_from(found, 0, patch)[0] > 0).nonzero().tolist())) == seen
    assert looks_from(found, 0, (0, 1))[0].nonzero().tolist() == [[0, 1], [0, 2]]
    assert bounds(found, (2, 2)) == ((1, 1), (2, 2))
    assert bounds(found, (0, 2)) == ((0, 1), (1, 2))
    # Weights are even wherever there is a choice.
    assert evenness(found) == pytest.approx(1)
    # Four corners reach 0, eight positions of edges half a step, four in the middle (0 + 1 + 1 + sqrt 2) / 4.
    assert reach(found) == pytest.approx((8 * 0.5 + 4 * (2 + math.sqrt(2)) / 4) / 16)


def test_what_is_padded_is_no_position():
    layer = WindowAttention(2, 3, 2, num_heads=1, window=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    found = WindowMaps(site((3, 2), layer.attended), layer.attention(torch.randn(1, 3, 2, 2)).detach())
    assert attended(found)[2, 0].isnan().any(1).tolist() == [False, False, True, True]
    # Half of what the last row looks at is padding, which takes part as timm's does.
    assert looks_from(found, 0, (2, 0))[0].tolist() == [[0, 0], [0, 0], [0.25, 0.25]]
    assert reach(found) == pytest.approx((4 * (2 + math.sqrt(2)) / 4 + 2 * 0.5) / 6)


def test_a_swin_is_looked_at():
    small = {"dim": 12, "depths": [2, 1, 1, 1], "heads": [1, 2, 3, 4], "window": 4, "patch": 2, "num_classes": 4}
    model = composer.build({"backbone": "swin", "input": {"shape": [3, 32, 32]}, "vars": small})
    look = composer.look(model, torch.randn(1, 3, 32, 32))
    assert "it looks at everything in its window alike" in {finding.what for finding in look.findings}
    gathered = gather(model, torch.randn(1, 3, 32, 32))
    section = tokens_section(gathered, "window_attention", choose(gathered, None))
    assert [row[:4] for row in section.table.rows[:2]] == [
        ("layers.0.blocks.0.attn", "1", "256", "16×16"),
        ("layers.0.blocks.1.attn", "1", "256", "16×16"),
    ]
    assert [plate.name for plate in section.plates] == ["window_attention-heads-1"]
    assert section.plates[0].draw().axes
