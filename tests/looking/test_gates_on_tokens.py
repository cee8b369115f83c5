"""Attention on the patches of a vision transformer, as a look sees it: maps of their grid, without the prefix."""

from __future__ import annotations

import torch

import composer
from composer.looking.forms import ElementMaps, Gates, SpatialMaps, TokenMaps, read
from composer.looking.nodes import map_node
from composer.looking.sites import sites_of


def test_gates_are_maps_over_the_grid_of_the_patches() -> None:
    rules = [
        {"use": "se", "after": "mlp"},
        {"use": "cbam", "after": "mixer"},
        {"use": "cbam_spatial", "after": "block"},
    ]
    spec = {"backbone": "deit_tiny_distilled_patch16_224", "input": [3, 64, 96], "vars": {"depth": 1}}
    model = composer.build({**spec, "attention": rules}, num_classes=10).eval()
    with composer.record(model) as values, torch.no_grad():
        model(torch.randn(2, 3, 64, 96))
    sites = sites_of(model)
    assert {site.grid for site in sites.values()} == {(4, 6)}
    found = {site.mechanism: read(site, values[path]) for path, site in sites.items()}
    gates, both, spatial, tokens = (found[name] for name in ("se", "cbam", "cbam_spatial", "mhsa"))
    assert isinstance(gates, Gates)
    assert gates.values.shape == (2, 192)
    assert isinstance(both, ElementMaps)
    assert both.values.shape == (2, 192, 4, 6)
    assert isinstance(spatial, SpatialMaps)
    assert spatial.values.shape == (2, 4, 6)
    assert isinstance(tokens, TokenMaps)
    assert (tokens.prefix, tokens.keys) == (2, (4, 6))
    # What a rule put behind a node belongs to it.
    node = map_node(model.graph, "blocks.0.attn")
    assert (node.path, node.grid, node.prefix) == ("blocks.0.attn_cbam_joined", (4, 6), 2)
