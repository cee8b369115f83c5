"""What shares weights has a mark, and a line to the owner, in every picture."""

from __future__ import annotations

from pathlib import Path

import composer
from composer.dag.sketch import Sketch
from composer.draw.document import document
from composer.draw.dot import render_dot
from composer.draw.mermaid import render_mermaid
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_siamese_network():
    graph = composer.compose(EXAMPLES / "share.yaml")
    picture = draw(Sketch.of(graph), Wish(depth=2))
    boxes = {box.path: box for figure in picture.figures for box in figure.view.walk()}
    assert boxes["again"].detail == "tower, shares tower"
    assert boxes["again"].shares == ("tower",)
    assert boxes["again.units"].shares == ()
    # Two further calls of one block are copies; the rule has one place.
    units = boxes["tower.units"].inner
    assert units is None
    closed = draw(Sketch.of(graph), Wish(depth=1))
    svg = render_svg(closed)
    assert svg.count('stroke-dasharray="4 3"') == 1
    assert "<title>again shares tower</title>" in svg
    assert '"tower" -> "again" [style=dashed arrowhead=none constraint=false]' in render_dot(closed)
    assert "-.-" in render_mermaid(closed)
    assert [rule.num_places for rule in picture.rules] == [1]
    found = document(closed, graph)["figures"][0]["boxes"]
    assert {box["id"]: box.get("shares") for box in found}["again"] == ["tower"]


def test_a_mechanism_that_a_stage_holds():
    picture = draw(Sketch.of(composer.compose(EXAMPLES / "share_by_rule.yaml")), Wish(select="layer1", depth=3))
    boxes = {box.path: box for figure in picture.figures for box in figure.view.walk()}
    held = boxes["layer1.shared_cbam_channel"]
    assert (held.detail, held.num_parameters, held.holds) == ("cbam.channel", 64 * 8 + 68, ())
    assert boxes["layer1.0.cbam"].shares == ("layer1.shared_cbam_channel",)
    assert [rule.num_places for rule in picture.rules] == [8]
    assert '"layer1.shared_cbam_channel" -> "layer1.0.cbam" [style=dashed' in render_dot(picture)
