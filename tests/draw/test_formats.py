"""DOT, Mermaid and JSON say what the SVG says; PNG and PDF come of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw.chunks import in_chunks
from composer.draw.flat import flat_edges
from composer.draw.mermaid import MOST_CHARACTERS, MOST_EDGES, render_mermaid
from composer.draw.picture import Figure, Inserted, Picture, Wish, draw
from composer.draw.render import render
from composer.errors import UnavailableError

NETWORKS = Path(__file__).parent / "networks"
HOSTILE = '</script><img src=x onerror=alert(1)>"]; click n0 callback; ``` #quot; %% \\N'


def picture_of(source, **wish):
    return draw(Sketch.of(composer.graph(source)), Wish(**wish))


def written(source, format, **wish):
    return render(picture_of(source, insets=False, **wish), format).decode()


def a_picture(view, count=1):
    return Picture("big", 0, "", "", "TB", (Figure(view, None),) * count, ())


def hostile_spec():
    return {
        "name": HOSTILE,
        "input": [3, 8, 8],
        "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}},
        "outputs": {HOSTILE: "conv"},
    }


@pytest.mark.parametrize("name", ["nas_cell", "unet"])
def test_flat_edges_are_those_of_the_graph(name):
    graph = composer.graph(NETWORKS / f"{name}.yaml")
    found = {(edge.source, edge.target) for edge in flat_edges(draw(Sketch.of(graph), Wish(depth=9)).figures[0].view)}
    (end,) = graph.networkx().graph["outputs"].values()
    expected = {("in:input" if one == "input" else one, other) for one, other in graph.networkx().edges}
    assert found == expected | {(end, "out:output")}


def test_dot_has_a_cluster_for_each_open_block():
    text = written("papers/se/resnet50", "dot", depth=3)
    assert text.startswith('digraph "se_resnet50" {')
    assert 'subgraph "cluster_layer1.0" {' in text
    assert '"layer1.0.se" -> "layer1.0.add" [label="256×56×56"]' in text
    assert re.search(r'"layer1.0.se" \[label="se\\ninserted by rule 1" fillcolor="#ffd3b6"', text)
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("source", ["papers/se/resnet50", hostile_spec()], ids=["se_resnet50", "hostile"])
def test_graphviz_reads_it(source):
    text = written(source, "dot", depth=3)
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_dot_quotes_names():
    text = written(hostile_spec(), "dot")
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    assert any("click n0 callback" in name for name in quoted)
    assert "click" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert "\\\\N" in text


def test_mermaid_names_boxes_edges_and_attention():
    text = written("papers/se/resnet50", "mmd")
    assert "flowchart TB" in text
    assert 'subgraph p0f6 ["layer1  3 × bottleneck"]' in text
    assert '["1–2  bottleneck, identity  ×2<br/>1 · se ×2"]:::holds' in text
    assert '-->|"256×56×56"|' in text
    assert "classDef holds" in text
    assert "%%" not in text


def test_mermaid_has_no_letter_that_it_or_html_would_read():
    text = written(hostile_spec(), "mmd")
    _, _, body = text.split("---\n")
    labels = re.findall(r'"([^"]*)"', body)
    assert all(re.fullmatch(r"(?:[\w .,:+\-–×·…/()�]|#\d+;|<br/>)*", label) for label in labels)
    assert "#60;#47;script" in body or "#60;/script#62;" in body
    assert json.loads(text.splitlines()[1].removeprefix("title: ")).startswith("</script>")


@pytest.mark.parametrize("density", [0.3, 3])
def test_mermaid_folds_itself(make, density):
    view = make.random_view(7, 900, density, 2)
    text = render_mermaid(a_picture(view))
    assert "%% Folded" in text
    assert text.count(" -->") <= MOST_EDGES
    assert len(text) <= MOST_CHARACTERS
    declared = set(re.findall(r"^\s*(p0[en]\d+)[\[(]", text, re.MULTILINE))
    used = {end for pair in re.findall(r"^  (\w+) -->(?:\|[^|]*\|)? (\w+)$", text, re.MULTILINE) for end in pair}
    assert used <= declared


def test_mermaid_closes_levels_before_it_joins_boxes():
    text = written("resnet152", "mmd", depth=9)
    assert "Folded" not in text
    spec = {"backbone": "resnet152", "attention": [{"use": "se", "after": "branch", "where": "block % 2 == 0"}]}
    text = written(spec, "mmd", depth=9)
    assert "Folded" in text
    assert "bottleneck" in text
    assert " nodes" not in text


def test_mermaid_of_very_many_inputs_and_parts(make):
    names = [f"x{index}" for index in range(700)]
    view = make.view([make.box("sum")], [(f"in:{name}", "sum") for name in names] + [("sum", "out:y")], names, ["y"])
    assert render_mermaid(a_picture(view)).count(" -->") <= MOST_EDGES
    small = make.view([make.box("a")], [("in:input", "a"), ("a", "out:output")])
    assert len(render_mermaid(a_picture(small, count=900))) <= MOST_CHARACTERS


def test_insets_and_the_legend_are_in_dot_and_mermaid():
    picture = picture_of("papers/cbam/resnet50")
    dot, mermaid = (render(picture, format).decode() for format in ("dot", "mmd"))
    for text in (dot, mermaid):
        assert "12 of 16 blocks look like this one" in text
        assert "1 · cbam: inserted after branch, 16 places" in text
        assert "cbam<br/>inserted by rule 1" in text or "cbam\\ninserted by rule 1" in text
    assert 'subgraph "cluster_1:layer1.1" {' in dot
    assert '"1:layer1.1.bn3" -> "1:layer1.1.cbam"' in dot
    assert re.search(r'l\d+\["1 · cbam[^"]*"\]:::inserted', mermaid)
    used, defined = set(re.findall(r":::([\w-]+)", mermaid)), set(re.findall(r"classDef ([\w-]+)", mermaid))
    assert used == defined


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_insets_and_the_legend():
    text = render(picture_of("papers/cbam/resnet50"), "dot")
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_very_many_rules_leave_room_for_a_network(make):
    small = make.view([make.box("a")], [("in:input", "a"), ("a", "out:output")])
    rules = tuple(Inserted(number, "<" * 200, "before layer", 3) for number in range(1, 901))
    text = render_mermaid(replace(a_picture(small), rules=rules))
    assert len(text) <= MOST_CHARACTERS
    assert "and 88" in text
    assert len(render_mermaid(replace(a_picture(small, count=900), rules=rules))) <= MOST_CHARACTERS


def test_what_is_folded_is_said():
    spec = {"backbone": "resnet152", "attention": [{"use": "se", "after": "branch", "where": "block % 2 == 0"}]}
    text = written(spec, "mmd", depth=9)
    assert re.search(r"%% Folded: .*500 edges and 50000 characters: \d levels? of blocks open", text)


def test_chunks_keep_the_flow(make):
    view = make.random_view(11, 200, 1.0, 0)
    small = in_chunks(view, 10)
    assert len(small.boxes) <= 10
    assert sum(int(box.detail.split()[0]) for box in small.boxes) == sum(box.count for box in view.boxes)
    place = {box.name: index for index, box in enumerate(small.boxes)}
    inner = [edge for edge in small.edges if ":" not in edge.source + edge.target]
    assert inner
    assert all(place[edge.source] < place[edge.target] for edge in inner)


def test_json_is_the_layout_and_the_facts():
    graph = composer.graph("papers/se/resnet50")
    found = json.loads(render(draw(Sketch.of(graph)), "json", graph=graph))
    assert found["parameters"] == 28_088_024
    assert found["rules"] == [{"number": 1, "use": "se", "where": "after branch", "num_places": 16}]
    network, inset = found["figures"]
    boxes = {box["id"]: box for box in network["boxes"]}
    assert next(iter(boxes)) == "in:input"
    assert boxes["layer1"]["holds"] == [{"rule": 0, "mechanism": "se", "places": 3}]
    ends = {(wire["from"], wire["to"]) for wire in network["wires"]}
    assert ("layer4", "global_pool") in ends
    for wire in network["wires"]:
        (x, y), box = wire["points"][0], boxes[wire["from"]]
        assert y == box["y"] + box["height"]
        assert box["x"] <= x <= box["x"] + box["width"]
    assert inset["frame"]["path"] == "layer1.1"
    assert inset["ports"].keys() == {"in:input", "out:output"}
    paths = {node["id"] for node in found["graph"]["nodes"]}
    assert {box["id"] for box in inset["boxes"] if box["kind"] != "block"} <= paths


def test_json_nests_open_blocks():
    found = json.loads(render(picture_of("resnet18", depth=2), "json"))
    (network,) = found["figures"]
    layer = next(box for box in network["boxes"] if box["id"] == "layer2")
    inside = layer["inside"]
    assert [box["id"] for box in inside["boxes"]] == ["layer2.0", "layer2.1"]
    assert (inside["width"], inside["height"]) == (layer["width"], layer["height"])
    assert found["graph"] is None


def test_png_and_pdf():
    pytest.importorskip("cairosvg", exc_type=OSError)
    picture = picture_of("papers/cbam/resnet50")
    assert render(picture, "png").startswith(b"\x89PNG\r\n")
    assert render(picture, "pdf", "paper").startswith(b"%PDF-")


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_without_the_extra_its_name_is_said(monkeypatch, format):
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    with pytest.raises(UnavailableError, match=r"attention-composer\[draw\]"):
        render(picture_of("resnet18"), format)
