"""The γ of `start: identity` is known by its role, not by its name."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.dag.rules.identity import gamma_of
from composer.looking.sites import sites_of

NODES = {
    "se_gamma": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
    "act": "relu",
    "pool": "global_avg_pool",
}


@pytest.mark.parametrize(
    "rule",
    [
        {"use": "se", "after": "act"},
        {"use": "cbam", "after": "act", "name": "se"},
        {"use": "sa", "after": "act", "with": {"head_dim": 4}},
        {"use": "se", "beside": "act"},
        {"use": "dynconv", "replace": "se_gamma", "with": {"out_channels": 8, "kernel_size": 3}},
    ],
)
def test_gamma_is_found_whatever_it_is_called(rule) -> None:
    for start in (None, "identity"):
        rules = [rule | ({"start": start} if start else {})]
        model = composer.build({"input": [8, 8, 8], "nodes": NODES, "attention": rules})
        (site,) = sites_of(model).values()
        assert site.gamma == (0.0 if start else None)
        if start:
            scope = model.graph.root
            gamma = gamma_of(scope, scope.nodes[site.path])
            assert gamma is not None
            with torch.no_grad():
                model.get_parameter(gamma.path).fill_(0.25)
            assert [one.gamma for one in sites_of(model).values()] == [0.25]


@pytest.mark.parametrize("position", ["after", "beside", "replace"])
def test_nodes_that_have_the_names_already_keep_them(position) -> None:
    taken = ("act_sa_tokens", "act_sa_map", "act_sa_add", "act_sa_gamma", "act_sa_start")
    nodes = {name: {"op": "conv2d", "out_channels": 8, "kernel_size": 1, "bias": True} for name in taken}
    plain = {"input": [8, 4, 4], "nodes": {**nodes, "act": "relu"}}
    rule = {"use": "sa", position: "act", "with": {"head_dim": 4}, "start": "identity"}
    model, before = (composer.build(source).eval() for source in (plain | {"attention": [rule]}, plain))
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(model(x), before(x))
    assert {f"{name}.weight" for name in taken} < dict(model.named_parameters()).keys()
    (site,) = sites_of(model).values()
    assert (site.path, site.gamma) == ("act_sa", 0.0)
    with torch.no_grad():
        model.get_parameter("act_sa_gamma_2").fill_(1.0)
    assert not torch.equal(model(x), before(x))
