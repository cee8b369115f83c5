"""Spatial and element maps: where they are highest, whether they are flat, which channels vary."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import composer
from composer.looking import overlays
from composer.looking.canvas import styled
from composer.looking.chance import chance_of
from composer.looking.forms import SpatialMaps
from composer.looking.overlays import Shown, is_even, shared_range
from composer.looking.photograph import Photo
from composer.looking.spatial import elements_section, most_varying, peak, spatial_section


def hand_made(model, path, values):
    model.get_submodule(path).attention = lambda x: values.expand(len(x), *values.shape[1:])
    return model


def test_a_map_is_highest_where_it_was_made_so(network, seen):
    values = torch.full((1, 1, 16, 16), 0.25)
    values[..., 12, 3] = 0.75
    gathered = seen(hand_made(network("cbam_spatial"), "cbam_spatial", values))
    section = spatial_section(gathered, "cbam_spatial")
    assert section.table.rows[0][:5] == ("cbam_spatial", "16×16", f"{(0.25 * 255 + 0.75) / 256:.3f}", "0.250", "0.750")
    assert peak(values[0, 0], gathered.photos[0]) == (25, 7)
    assert section.table.rows[0][-1] == "78% down, 22% across"
    assert not section.findings


def test_a_drawn_map_is_brightest_at_the_right_pixels(network, seen):
    values = torch.zeros(1, 1, 16, 16)
    values[..., 12, 3] = 1.0
    gathered = seen(hand_made(network("cbam_spatial"), "cbam_spatial", values))
    with styled():
        made = spatial_section(gathered, "cbam_spatial").plates[0].draw()
        place = made.axes[1]
        shown = place.images[0].get_array()
    assert shown.shape == (32, 32, 3)
    # Yellow has more green than blue; the rest is violet.
    yellow = shown[..., 1] - shown[..., 2]
    row, column = np.unravel_index(yellow.argmax(), yellow.shape)
    assert (row // 2, column // 2) == (12, 3)


def test_flat_maps_are_said_to_be(network, seen):
    values = torch.full((1, 1, 16, 16), 0.5)
    section = spatial_section(seen(hand_made(network("cbam_spatial"), "cbam_spatial", values)), "cbam_spatial")
    assert [one.what for one in section.findings] == ["its map is flat"]


def test_channels_that_vary_most_come_first():
    values = torch.zeros(4, 2, 2)
    values[2] = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    values[0] = torch.tensor([[0.0, 3.0], [0.0, 3.0]])
    assert most_varying(values, 2) == [0, 2]
    assert most_varying(values, 9) == [0, 2, 1, 3]


def test_cbam_is_shown_by_its_halves_and_bam_by_its_elements(network, seen):
    gathered = seen(network("cbam"))
    assert elements_section(gathered, "cbam") is None
    assert spatial_section(gathered, "cbam").title == "cbam: spatial maps (spatial half)"
    bam = elements_section(seen(network("bam")), "bam")
    assert bam.table.rows[0][:3] == ("bam", "32", "16×16")
    assert [plate.name for plate in bam.plates] == ["bam-elements-1", "bam-elements-2"]


@pytest.mark.parametrize("count", [1, 7])
def test_many_sites_are_split_over_plates(count, images):
    nodes = {f"n{index}": {"op": "ge_minus", "extent": 2} for index in range(count)}
    model = composer.build({"input": [3, 32, 32], "nodes": {**nodes, "pool": "global_avg_pool"}})
    from composer.looking.gather import gather

    section = elements_section(gather(model, images[:1]), "ge_minus")
    assert len(section.plates) == -(-count // 6)
    with styled():
        # Photograph, mean and all 3 channels, with a bar of colours each but for the photograph.
        assert len(section.plates[0].draw().axes) >= 5 * min(count, 6)


def test_what_is_nearly_constant_looks_so():
    """A map from 1.46 to 1.54 is one colour, and so is attention that looks everywhere alike."""
    gates, sharp = torch.linspace(1.46, 1.54, 49).reshape(7, 7), torch.eye(7)
    assert shared_range([gates]) == pytest.approx((0, 1.54))
    assert is_even(gates)
    assert is_even(torch.full((14, 14), 1 / 196) + 5e-4 * torch.rand(14, 14))
    assert not is_even(sharp)
    # Compared maps have one range, and what is negative has its place in it.
    assert shared_range([sharp, 0.1 * sharp, sharp - 2]) == (-2, 1)


def test_maps_of_a_figure_share_their_range(monkeypatch):
    drawn = []

    def overlay(photo, values, low, high, colours):
        drawn.append((low, high))
        return photo.pixels

    monkeypatch.setattr(overlays, "overlay", overlay)
    photo = Photo("photo", torch.rand(8, 8, 3).numpy())
    maps = [Shown("one", torch.eye(4)), Shown("two", 0.2 + 0.01 * torch.eye(4))]
    made = overlays.over_photo(photo, maps, overlays.range_of(maps))
    assert drawn == [(0, 1), (0, 1)]
    assert [place.get_title() for place in made.axes] == ["photo", "one", "two: even"]
    drawn.clear()
    overlays.over_photo(photo, maps)
    assert drawn == [(0, 1), pytest.approx((0, 0.21))]


def trained(model, path, factor):
    """The network with other weights, whose maps reach further, or less far."""
    own = model.get_submodule(path)
    plain = own.attention
    with torch.no_grad():
        next(model.parameters()).mul_(1.001)
    own.attention = lambda x: (plain(x) - 0.5) * factor + 0.5
    return model


@pytest.mark.parametrize(("factor", "explained"), [(0.1, True), (1.9, False)])
def test_a_map_that_reaches_no_further_than_an_untrained_one_is_not_above_chance(network, images, factor, explained):
    model = trained(network("cbam_spatial"), "cbam_spatial", factor)
    found = composer.look(model, images)
    said = [one.detail for one in found.findings if one.what == "its map is not above chance"]
    assert bool(said) is explained
    with styled():
        (plate,) = [plate for one in found.sections for plate in one.plates if plate.name == "cbam_spatial-maps-1"]
        texts = [text.get_text() for place in plate.draw().axes for text in place.texts]
    assert ("not above chance" in texts) is explained
    assert plate.is_map


def test_a_network_that_nothing_has_trained_is_compared_with_nothing(network, images, seen):
    model = network("cbam_spatial")
    assert chance_of(model, seen(model), images).forms == {}
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert list(chance_of(model, seen(model), images).forms) == [(SpatialMaps, "cbam_spatial", "")]


def test_all_maps_of_elements_have_one_range(network, images, seen):
    gathered = seen(network("ge_minus", extent=4))
    with styled():
        (plate, *_) = elements_section(gathered, "ge_minus").plates
        ends = [[text.get_text() for text in place.texts] for place in plate.draw().axes if place.texts]
    assert ends
    assert all(one == ends[0] for one in ends)


def test_maps_of_two_networks_have_one_range(network, images):
    """Beside one another, and before and after a training."""
    mine, theirs = (composer.look(trained(network("cbam_spatial"), "cbam_spatial", one), images) for one in (0.5, 1.9))
    name = "cbam_spatial-maps-1"
    with styled():
        pairs = [(mine, None), (theirs, None), (mine, theirs), (theirs, mine)]
        ends = [
            [text.get_text() for text in one.plates[name].draw(other and other.plates[name]).axes[1].texts][-1]
            for one, other in pairs
        ]
    assert ends[0] != ends[1]
    assert ends[2] == ends[3] == max(ends[:2], key=float)
