"""What a spec, its blocks and its rules say of themselves, and where it is shown."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw.document import document
from composer.draw.dot import render_dot
from composer.draw.mermaid import render_mermaid
from composer.draw.picture import draw
from composer.draw.svg import render_svg
from composer.page.data import networks_of, page_data
from composer.spec import zoo
from composer.spec.load import load_spec, with_outputs

ABOUT = "Two units for maps of eight channels, which is few."
SPEC = {
    "name": "small",
    "description": f"  {ABOUT[:20]}\n{ABOUT[20:]}\n",
    "input": [8, 6, 6],
    "blocks": {"unit": {"description": "A convolution and ReLU.", "nodes": {"conv": "relu"}}},
    "nodes": {"first": {"block": "unit"}, "second": {"block": "unit"}},
    "attention": [{"use": "se", "after": "first", "description": "Where the detail is."}],
}


@pytest.fixture(scope="module")
def sketch() -> Sketch:
    return Sketch.of(composer.graph(SPEC))


def test_it_is_a_line_of_the_requested_file() -> None:
    spec = composer.load(SPEC)
    assert spec.description == " ".join(SPEC["description"].split())
    assert composer.load("resnet18").description == ""
    assert with_outputs(spec, "first").description == spec.description
    assert composer.load(spec.to_mapping()).description == spec.description
    with pytest.raises(composer.SpecError, match="`description` is the number 5"):
        composer.load({**SPEC, "description": 5})


def test_pictures_have_it_under_their_name(sketch: Sketch) -> None:
    picture = draw(sketch)
    root = ElementTree.fromstring(render_svg(picture))
    lines = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    start = lines.index("small")
    # Below the name and the line of numbers, before the first box.
    assert " ".join(lines[start + 2 : lines.index("8×6×6")]) == picture.description
    assert picture.description in root.find("{*}desc").text
    assert document(picture, None)["description"] == picture.description
    assert picture.description.split()[0] in render_dot(picture).splitlines()[2]
    assert f'title: "small: {picture.description}"' in render_mermaid(picture)


def test_a_picture_without_it_is_as_it_was() -> None:
    plain = draw(Sketch.of(composer.graph({**SPEC, "description": ""})))
    bare = draw(Sketch.of(composer.graph({key: value for key, value in SPEC.items() if key != "description"})))
    assert render_svg(plain) == render_svg(bare)
    assert 'title: "small"' in render_mermaid(bare)


def test_a_page_has_those_of_network_blocks_and_rules(sketch: Sketch) -> None:
    data = page_data(networks_of(sketch, None, None))
    network = data["networks"][0]
    assert network["description"] == composer.load(SPEC).description
    assert [rule["description"] for rule in data["rules"]] == ["Where the detail is."]
    assert data["facts"][network["key"]]["first"]["description"] == "A convolution and ReLU."


def test_show_and_list_have_it(run) -> None:
    assert 'description: "Feature pyramid network on ResNet-50' in run("show", "necks/fpn_resnet50").out
    rows = {row["name"]: row for row in json.loads(run("list", "necks", "--format", "json").out)}
    assert rows["necks/fpn_resnet50"]["description"].startswith("Feature pyramid network")
    assert "description" not in run("list", "backbones", "vgg1*").out


def test_every_var_of_the_zoo_says_what_it_means() -> None:
    silent = {
        f"{name}: {var}" for name in zoo.names() for var, kind in load_spec(name).kinds.items() if not kind.description
    }
    assert not silent
