"""A value's form follows from its mechanism's kind and its axes; what fits none is listed."""

from __future__ import annotations

import pytest
import torch

from composer.looking.forms import (
    Branches,
    ElementMaps,
    Gates,
    Other,
    Routing,
    SpatialMaps,
    TokenMaps,
    WindowMaps,
    read,
)
from composer.looking.sites import Site
from composer.registry.entry import APPLIED_BY_KIND


def site(kind, grid=None, applied=None):
    applied = applied or APPLIED_BY_KIND[kind]
    return Site("a.b", "plugin", kind, applied, False, None, None, None, {}, grid, None)


@pytest.mark.parametrize(
    ("kind", "shape", "form", "kept"),
    [
        ("channel", (2, 8, 1, 1), Gates, (2, 8)),
        ("channel", (2, 8), Gates, (2, 8)),
        ("channel", (2, 1, 1, 1), Gates, (2, 1)),
        ("spatial", (2, 8, 1, 1), Gates, (2, 8)),
        ("spatial", (2, 1, 5, 6), SpatialMaps, (2, 5, 6)),
        ("spatial", (2, 1, 1, 1), SpatialMaps, (2, 1, 1)),
        ("spatial", (2, 5, 6), SpatialMaps, (2, 5, 6)),
        ("channel+spatial", (2, 8, 5, 6), ElementMaps, (2, 8, 5, 6)),
        ("channel+spatial", (2, 8, 1, 1), Gates, (2, 8)),
        ("branch", (2, 3, 8, 1, 1), Branches, (2, 3, 8)),
        ("branch", (2, 3, 8), Branches, (2, 3, 8)),
        ("kernel", (2, 4), Routing, (2, 4)),
        ("kernel", (2, 4, 1, 1), Routing, (2, 4)),
        ("token", (2, 3, 30, 30), TokenMaps, (2, 3, 30, 30)),
        ("token", (2, 30, 30), TokenMaps, (2, 1, 30, 30)),
        ("token", (2, 3, 5, 6, 9), WindowMaps, (2, 3, 5, 6, 9)),
        ("channel", (2, 8, 5, 6, 7), Other, (2, 8, 5, 6, 7)),
        ("channel", (2, 3, 4), Other, (2, 3, 4)),
        ("branch", (2, 3, 8, 5, 5), Other, (2, 3, 8, 5, 5)),
        ("kernel", (2, 4, 5), Other, (2, 4, 5)),
        ("token", (2, 3), Other, (2, 3)),
        ("token", (2, 3, 5, 6, 8), Other, (2, 3, 5, 6, 8)),
    ],
)
def test_forms(kind, shape, form, kept):
    found = read(site(kind, (5, 6)), torch.rand(shape))
    assert type(found) is form
    assert tuple(found.values.shape) == kept


@pytest.mark.parametrize(
    ("grid", "shape", "prefix", "keys"),
    [
        ((5, 6), (30, 30), 0, (5, 6)),
        ((5, 6), (31, 31), 1, (5, 6)),
        ((5, 6), (32, 32), 2, (5, 6)),
        ((5, 6), (30, 6), 0, (2, 3)),
        ((5, 6), (30, 7), 0, None),
        ((5, 6), (60, 60), 0, None),
        ((5, 6), (20, 20), 0, None),
        (None, (30, 30), 0, None),
    ],
)
def test_tokens_before_the_positions_and_coarser_keys(grid, shape, prefix, keys):
    found = read(site("token", grid), torch.rand(1, 2, *shape))
    assert (found.prefix, found.keys) == (prefix, keys)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_said_to_be(bad):
    found = read(site("channel"), torch.tensor([[0.5, bad]]))
    assert isinstance(found, Other)
    assert "not finite" in found.reason


def test_a_half_is_read_by_its_own_kind_and_a_gate_may_be_added_to_one():
    assert isinstance(read(site("channel+spatial"), torch.rand(1, 1, 4, 4), "spatial"), SpatialMaps)
    assert isinstance(read(site("channel+spatial"), torch.rand(1, 4, 1, 1), "channel"), Gates)
    assert read(site("channel", applied="1 + gate"), torch.rand(1, 4, 1, 1)).offset == 1
    assert read(site("channel"), torch.rand(1, 4, 1, 1)).offset == 0
