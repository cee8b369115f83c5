"""Every spec that cannot be composed can be drawn as far as it goes, in every format."""

from __future__ import annotations

from pathlib import Path

import pytest

import composer
from composer.dag.sketch import sketch
from composer.draw.picture import Wish, draw
from composer.draw.render import render

FOLDER = Path(__file__).parent.parent / "dag" / "messages"
# Mistakes that are no node's own: of the network as a whole, or of a rule that finds no place.
NOWHERE = {
    *("budget_nodes", "budget_of_rules", "budget_parameters", "expect", "input_shape", "layer_as_mechanism"),
    *("layout_of_the_input", "network_without_sites", "output_not_named", "unknown_mechanism", "unknown_path"),
    *("unknown_site", "unreachable", "where_leaves_none", "bare_name_of_a_node_inside", "channels_last"),
    *("input_beyond_any_memory", "input_larger_than_the_budget", "rule_with_two_mistakes", "unknown_option"),
    *("block_like_a_mechanism", "block_mistake_inside", "block_on_maps_at_tokens", "grid_larger_than_the_tokens"),
}


@pytest.mark.parametrize("case", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_it_is_drawn_as_far_as_it_goes(case, faults, monkeypatch):
    monkeypatch.chdir(FOLDER)
    spec = composer.load(f"{case}.yaml")
    with pytest.raises(composer.GraphError) as caught:
        composer.graph(spec)
    found = sketch(spec, caught.value.diagnostics)
    for wish in (Wish(), Wish(depth=9, direction="LR")):
        picture = draw(found, wish)
        for figure in picture.figures:
            assert faults(figure.layout, figure.view) == []
        for format in ("svg", "dot", "mmd", "json"):
            assert render(picture, format)
    svg = render(draw(found), "svg").decode()
    assert ('class="failed"' in svg) == (case not in NOWHERE)
    assert all(problem.message[:30] in svg.replace("&gt;", ">").replace("\xa0", " ") for problem in found.problems)
