"""Window attention beside torchvision's and timm's, composer's layer, and a matrix of all positions."""

from __future__ import annotations

import pytest
import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import nn
from torchvision.models.swin_transformer import ShiftedWindowAttention as TorchvisionsAttention

import composer
from composer.errors import ComposerError
from composer.layers.window import WindowAttention
from composer.mechanisms.token.window import ShiftedWindowAttention
from tests.mechanisms.oracle import SMALL, agree


class OnMaps(nn.Module):
    """A module on b h w c, for b c h w."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def renamed(state):
    return {f"inner.{name}": tensor for name, tensor in state.items()}


def torchvisions(*args):
    """torchvision's module on maps, whose state holds what ours holds."""
    made = TorchvisionsAttention(*args)
    made.register_buffer("relative_position_index", made.relative_position_index, persistent=False)
    return OnMaps(made)


# Sizes whose windows need no padding: elsewhere the peers let positions see it.
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (14, 21), (56, 56)])
def test_equals_torchvisions(height, width, shift):
    ours = ShiftedWindowAttention(8, height, width, num_heads=2, shift=shift)
    theirs = torchvisions(8, [7, 7], [shift, shift], 2)
    agree(ours, theirs, torch.randn(2, 8, height, width), carry=renamed)


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (14, 21)])
def test_equals_timms(height, width, shift):
    ours = ShiftedWindowAttention(8, height, width, num_heads=2, shift=shift)
    block = SwinTransformerBlock(8, (height, width), num_heads=2, window_size=7, shift_size=shift).double()
    state = ours.double().state_dict()
    block.attn.load_state_dict(state, strict=False)
    x = torch.randn(2, height, width, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), block._attn(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shift", [0, 3])
def test_equals_the_layer_of_our_swin(shift):
    ours = ShiftedWindowAttention(8, 14, 21, num_heads=2, shift=shift)
    agree(ours, OnMaps(WindowAttention(8, 14, 21, num_heads=2, shift=shift)), torch.randn(2, 8, 14, 21), carry=renamed)


class AllPositions(nn.Module):
    """Windows begin at row and column `shift`, and at every seventh from there; nothing is padded, rolled or cut."""

    def __init__(self, channels, height, width, heads, side, shift):
        super().__init__()
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.heads, self.size = heads, (height, width)
        rows, columns = min(side, height), min(side, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), heads))
        self.sees = torch.zeros(height * width, height * width, dtype=torch.bool)
        self.entry = torch.zeros(height * width, height * width, dtype=torch.long)
        # A single window is not shifted.
        down, right = shift if height > side else 0, shift if width > side else 0
        for a in range(height * width):
            for b in range(height * width):
                (i, j), (u, v) = divmod(a, width), divmod(b, width)
                if (i - down) // rows == (u - down) // rows and (j - right) // columns == (v - right) // columns:
                    self.sees[a, b] = True
                    self.entry[a, b] = (i - u + rows - 1) * (2 * columns - 1) + j - v + columns - 1

    def forward(self, x):
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x.flatten(2).transpose(1, 2)).chunk(3, 2)
        )
        bias = self.relative_position_bias_table[self.entry].permute(2, 0, 1)
        logits = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + bias).masked_fill(~self.sees, -1e300)
        y = self.proj((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return y.transpose(1, 2).unflatten(2, self.size)


@pytest.mark.parametrize("shift", [0, 3, 6])
@pytest.mark.parametrize(("height", "width"), [(1, 1), *SMALL, (9, 5)])
def test_padding_is_as_if_there_were_none(height, width, shift):
    ours = ShiftedWindowAttention(4, height, width, num_heads=2, shift=shift)
    agree(ours, AllPositions(4, height, width, 2, 7, shift), torch.randn(2, 4, height, width))


@pytest.mark.parametrize("shift", [0, 3])
def test_padded_cells_get_weight_0(shift):
    module = ShiftedWindowAttention(8, 13, 17, num_heads=2, shift=shift)
    weights, places = module.attention(torch.randn(2, 8, 13, 17)), module.attended
    padded = places.isnan().any(-1)
    assert 0 < padded.sum() < padded.numel()
    assert weights[..., padded].eq(0).all()
    assert weights[..., ~padded].gt(0).sum() > padded.sum()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 13, 17))


def test_torchvision_lets_positions_see_padding():
    """The departure that the docstring states."""
    ours = ShiftedWindowAttention(8, 13, 17, num_heads=2)
    theirs = torchvisions(8, [7, 7], [0, 0], 2)
    with torch.no_grad():
        ours.qkv.bias.normal_()
    theirs.load_state_dict(renamed(ours.state_dict()))
    x = torch.randn(1, 8, 13, 17)
    with torch.no_grad():
        difference = (ours(x) - theirs(x)).abs().amax((0, 1))
    assert difference[:7, :14].max() < 1e-6
    assert difference[7:].min() > 0
    assert difference[:, 14:].min() > 0


@pytest.mark.parametrize(("channels", "heads"), [(64, 2), (96, 3), (112, 2), (24, 1), (8, 1), (37, 1), (768, 24)])
def test_heads_by_default(channels, heads):
    assert ShiftedWindowAttention(channels, 7, 7).num_heads == heads


def test_parameters():
    assert sum(p.numel() for p in ShiftedWindowAttention(64, 56, 56).parameters()) == 16_978


def test_refusals():
    with pytest.raises(ValueError, match="window: 64 channels do not divide into 5 heads; set num_heads to 4 or 8"):
        ShiftedWindowAttention(64, 7, 7, num_heads=5)
    with pytest.raises(ValueError, match="a shift of 7 is no less than the window of 7; set shift to 3"):
        ShiftedWindowAttention(64, 14, 14, shift=7)
    with pytest.raises(ValueError, match="window: built for maps of 14×14, found 7×7; build it for that size"):
        ShiftedWindowAttention(64, 14, 14)(torch.randn(1, 64, 7, 7))


def shifts(model):
    return {name: one.shift[0] for name, one in model.named_modules() if isinstance(one, ShiftedWindowAttention)}


def test_places_of_a_rule_take_turns():
    rule = {"use": "window", "after": "block", "where": "stage <= 2", "with": {"window": 4}}
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]})
    assert list(shifts(model).values()) == [0, 2, 0, 2]
    # Only the places that the rule edits are counted.
    model = composer.build(
        {
            "backbone": "resnet18",
            "input": [3, 64, 64],
            "attention": [{**rule, "where": "stage <= 2 and (block == 2 or stage == 2)"}],
        }
    )
    assert shifts(model) == {"layer1.1.out_window": 0, "layer2.0.out_window": 2, "layer2.1.out_window": 0}
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    fixed = {**rule, "with": {"window": 4, "shift": "${(block - 1) % 2 * 3}"}}
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [fixed]})
    assert list(shifts(model).values()) == [0, 3, 0, 3]


def test_one_mechanism_for_all_places_is_shifted_nowhere():
    rule = {"use": "window", "after": "branch", "where": "stage == 1", "share": "all", "with": {"window": 4}}
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]})
    assert set(shifts(model).values()) == {0}


def test_on_tokens_and_in_place_of_a_mixer():
    for backbone, rule in (
        ("vit_tiny_patch16_224", {"use": "window", "after": "block", "with": {"window": 2}, "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"use": "window", "replace": "mixer", "where": "stage == 1"}),
    ):
        model = composer.build({"backbone": backbone, "input": [3, 64, 64], "attention": [rule]})
        assert sorted(shifts(model).values())[0] == 0
        assert sorted(shifts(model).values())[-1] > 0
        assert model(torch.randn(1, 3, 64, 64)).isfinite().all()


def test_a_rule_with_too_many_heads_is_answered_at_its_line():
    rule = {"use": "window", "after": "block", "with": {"num_heads": 7}}
    with pytest.raises(ComposerError, match="64 channels do not divide into 7 heads"):
        composer.graph({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]})
