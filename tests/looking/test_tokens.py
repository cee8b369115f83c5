"""Token attention made by hand: rows become maps of where a patch looks, on the right grid."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.errors import InputError
from composer.looking.canvas import styled
from composer.looking.chance import Chance
from composer.looking.chosen import Chosen, choose
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import gather
from composer.looking.heads import rows_from
from composer.looking.queries import evenness, finest, in_grid, looks_from, reach
from composer.looking.sites import Site
from composer.looking.tokens import rolled, rollout_section, tokens_section


def site(grid):
    return Site("a", "mhsa", "token", "positions", False, None, None, None, {}, grid, None)


def test_a_patch_looks_where_its_row_says():
    # Of 2 x 3 patches behind a class token, patch (1, 0) looks at patch (0, 2) alone.
    values = torch.zeros(1, 1, 7, 7)
    values[0, 0, 1 + 3, 1 + 2] = 1.0
    found = looks_from(TokenMaps(site((2, 3)), values, 1, (2, 3)), 0, (1, 0))
    assert found.tolist() == [[[0, 0, 1], [0, 0, 0]]]


def test_keys_of_a_coarser_grid():
    values = torch.zeros(1, 1, 16, 4)
    values[0, 0, 4 * 3 + 1] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    found = looks_from(TokenMaps(site((4, 4)), values, 0, (2, 2)), 0, (3, 1))
    assert torch.allclose(found[0], torch.tensor([[0.1, 0.2], [0.3, 0.4]]))


@pytest.mark.parametrize("patch", [(0, 0), (2, 3), (4, 5), (4, 0)])
def test_windows_are_laid_around_their_patch(patch):
    values = torch.rand(1, 2, 5, 6, 9)
    found = looks_from(WindowMaps(site((5, 6)), values), 0, patch)
    for row in range(5):
        for column in range(6):
            down, across = row - patch[0] + 1, column - patch[1] + 1
            inside = 0 <= down < 3 and 0 <= across < 3
            expected = values[0, :, *patch, 3 * down + across] if inside else torch.zeros(2)
            assert torch.equal(found[:, row, column], expected)


def test_evenness_and_reach_by_hand():
    even = TokenMaps(site((1, 2)), torch.full((1, 1, 2, 2), 0.5), 0, (1, 2))
    assert evenness(even) == pytest.approx(1)
    assert reach(even) == pytest.approx(0.5)
    alone = TokenMaps(site((1, 2)), torch.eye(2)[None, None], 0, (1, 2))
    assert (evenness(alone), reach(alone)) == (0, 0)
    # A class token is no position: what is left of the weights counts.
    first = torch.tensor([[0.2, 0.4, 0.4], [0.5, 0.0, 0.5], [0.5, 0.0, 0.5]])
    assert reach(TokenMaps(site((1, 2)), first[None, None], 1, (1, 2))) == pytest.approx(0.5)
    assert reach(TokenMaps(site(None), first[None, None], 0, None)) is None
    corner = torch.zeros(1, 1, 2, 2, 9)
    corner[..., 0] = 1.0
    assert reach(WindowMaps(site((2, 2)), corner)) == pytest.approx(2**0.5)


def test_patches_in_other_grids():
    assert in_grid((13, 0), (14, 14), (7, 7)) == (6, 0)
    assert in_grid((6, 3), (7, 7), (14, 14)) == (13, 7)
    assert all(in_grid((row, 0), (14, 14), (14, 14)) == (row, 0) for row in range(14))
    assert finest([TokenMaps(site(grid), torch.zeros(1, 1, 4, 4), 0, None) for grid in ((7, 7), None, (14, 14))]) == (
        14,
        14,
    )


VIT = {"backbone": "vit", "input": {"shape": [3, 32, 32]}, "vars": {"dim": 24, "depth": 3, "num_heads": 3, "patch": 8}}


@pytest.fixture(scope="module")
def vit():
    model = composer.build(VIT).eval()
    return gather(model, torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))


def test_a_vit_shows_heads_class_token_and_rollout(vit):
    chosen = choose(vit, None)
    assert (chosen.patch, chosen.grid) == ((2, 2), (4, 4))
    section = tokens_section(vit, "mhsa", chosen)
    assert [plate.name for plate in section.plates] == ["mhsa-heads-1", "mhsa-class-1"]
    assert [row[:4] for row in section.table.rows] == [(f"blocks.{n}.attn", "3", "17", "4×4") for n in range(3)]
    assert [plate.name for plate in rollout_section(vit, chosen).plates] == ["rollout-1"]


def test_rollout_is_the_product_of_all_blocks_with_half_a_residual(vit):
    group = vit.of(TokenMaps)
    mixed = torch.eye(17)
    for one in group:
        mixed = (0.5 * one.values[0].mean(0) + 0.5 * torch.eye(17)) @ mixed
    maps = dict(rolled(group, 0, choose(vit, (3, 1))))
    assert torch.allclose(maps["rollout, class token"], mixed[0, 1:].view(4, 4), atol=1e-6)
    assert torch.allclose(maps["rollout, patch"], mixed[1 + 13, 1:].view(4, 4), atol=1e-6)


@pytest.mark.parametrize("patch", [(4, 0), (0, 4), (-1, 0)])
def test_patches_outside_the_grid(vit, patch):
    with pytest.raises(InputError, match=f"no patch {patch[0]},{patch[1]} in a grid of 4×4") as caught:
        choose(vit, patch)
    assert "from 0,0 to 3,3" in str(caught.value)


def test_a_patch_of_a_network_without_token_attention(network, seen):
    with pytest.raises(InputError, match="no attention between positions"):
        choose(seen(network("se")), (0, 0))


def test_tokens_that_are_channels_are_shown_as_matrices(images):
    rule = {"use": "mhsa", "after": "conv", "tokens": "channels", "with": {"num_heads": 4}}
    nodes = {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}, "pool": "global_avg_pool"}
    gathered = gather(composer.build({"input": [3, 32, 32], "nodes": nodes, "attention": [rule]}), images)
    assert choose(gathered, None) is None
    section = tokens_section(gathered, "mhsa", None)
    assert [plate.name for plate in section.plates] == ["mhsa-matrices"]
    assert section.table.rows[0][1:4] == ("4", "8", "–")


def test_windows_of_swin_and_what_replaces_them():
    small = {"dim": 12, "depths": [1, 1, 1, 1], "heads": [1, 2, 3, 4], "window": 4, "patch": 2, "num_classes": 4}
    swin = {"backbone": "swin", "input": {"shape": [3, 32, 32]}, "vars": small}
    rule = {"use": "mhsa", "replace": "mixer", "where": "stage >= 3", "with": {"num_heads": 4}}
    gathered = gather(composer.build({**swin, "attention": [rule]}), torch.randn(1, 3, 32, 32))
    assert [(one.site.grid, one.keys) for one in gathered.of(TokenMaps)] == [((4, 4), (4, 4)), ((2, 2), (2, 2))]
    assert [tuple(one.values.shape) for one in gathered.of(WindowMaps)] == [(1, 1, 16, 16, 16), (1, 2, 8, 8, 16)]


def sharpened(model, factor):
    """The network with other weights, which look more or less sharply."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(factor if "qkv" in name else 1.001)
    return model


@pytest.mark.parametrize(("factor", "explained"), [(0.3, True), (5, False)])
@pytest.mark.parametrize("backbone", ["vit", "swin"])
def test_where_a_patch_looks_is_held_against_an_untrained_network(backbone, factor, explained, images):
    own = {"vit": {"depth": 2, "num_heads": 2}, "swin": {"depths": [1] * 4, "heads": [2] * 4, "window": 4}}[backbone]
    own |= {"patch": 4, "dim": 12, "num_classes": 4}
    model = composer.build({"backbone": backbone, "input": {"shape": [3, 32, 32]}, "vars": own})
    found = composer.look(sharpened(model, factor), images)
    what = "where its patch looks is not above chance"
    assert any(one.what == what for one in found.findings) is explained, found.findings
    heads = [plate for name, plate in found.plates.items() if "-heads-1" in name]
    with styled():
        places = [place for plate in heads for place in plate.draw().axes]
    texts = [text.get_text() for place in places for text in place.texts]
    assert ("not above chance" in texts) is explained
    # Of all sites and heads, one range: its ends are the only numbers.
    assert len({text for text in texts if text != "not above chance"}) == 2


def test_a_window_is_compared_with_a_window():
    """What lies outside it is 0 in both, and says nothing."""
    grid = site((4, 4))
    sharp, even = torch.zeros(2, 1, 1, 4, 4, 9)
    sharp[0, 0, 1, 1] = torch.tensor([0.1] * 8 + [0.2])
    even[0, 0, 1, 1] = 1 / 9
    chance = Chance({(WindowMaps, "a", ""): WindowMaps(grid, even)})
    (row,) = rows_from([WindowMaps(grid, sharp)], 0, Chosen((1, 1), (4, 4)), chance)
    (shown,) = row.maps
    assert not shown.by_chance
    assert shown.values[2, 2] == pytest.approx(1.8)
    assert shown.telling_untrained.tolist() == [[pytest.approx(1)] * 3] * 3
