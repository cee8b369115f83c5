"""Figures for papers: as wide as asked for, all text at 7 pt, no higher than 22 cm, and nothing on anything else."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise

import pytest
from PIL import Image

import composer
from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.picture import Wish
from composer.draw.printed.columns import columns
from composer.draw.printed.fitting import METRICS, fitted
from composer.draw.printed.join import joined
from composer.draw.printed.render import render_figure
from composer.draw.printed.svg import render_printed
from composer.draw.printed.width import read_width
from composer.draw.view import opened
from composer.errors import InputError

POINTS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0}
NETWORKS = ["papers/cbam/resnet50", "densenet121", "googlenet", "vit_tiny_patch16_224", "segmentation/unet_resnet34"]


@pytest.fixture(scope="module", params=NETWORKS)
def sketch(request):
    return Sketch.of(composer.graph(request.param))


def points(length):
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", length).groups()
    return float(number) * POINTS[unit]


def size_of_text(root, kind):
    """The size that the style sheet gives to text of these classes, in units of the SVG."""
    sheet = root.find("{http://www.w3.org/2000/svg}style").text
    usual = re.search(r"\.cg text\{[^}]*font-size:([\d.]+)px", sheet)[1]
    own = [found[1] for one in kind.split() if (found := re.search(rf"\.cg \.{one}\{{font-size:([\d.]+)px", sheet))]
    return float((own or [usual])[-1])


def placed(element, x=0.0, y=0.0):
    """Every element with the place that the groups around it give it."""
    move = re.fullmatch(r"translate\((-?[\d.]+) (-?[\d.]+)\)", element.get("transform", "translate(0 0)"))
    x, y = x + float(move[1]), y + float(move[2])
    yield element, x, y
    for child in element:
        yield from placed(child, x, y)


def texts(root):
    """Each line of text: its words and the rectangle that it fills."""
    for element, x, y in placed(root):
        if element.tag.endswith("}text"):
            length, kind = float(element.get("textLength")), element.get("class", "").split()
            x += float(element.get("x")) - length * (1 if "end" in kind else 0.5 if "mid" in kind else 0)
            y += float(element.get("y"))
            yield element.text, (x, y - 9, x + length, y + 2)


@pytest.mark.parametrize("width", ["8cm", "170mm", "3.5in", "252pt"])
def test_it_is_as_wide_as_asked_for_and_all_text_has_7_pt(sketch, width):
    root = ElementTree.fromstring(render_printed(sketch, Wish(), read_width(width)))
    assert points(root.get("width")) == pytest.approx(points(width))
    _, _, across, down = map(float, root.get("viewBox").split())
    scale = points(root.get("width")) / across
    assert points(root.get("height")) / down == pytest.approx(scale, rel=1e-3)
    assert points(root.get("height")) <= 22 * POINTS["cm"]
    kinds = {one.get("class", "") for one in root.iter() if one.tag.endswith("}text")}
    assert {round(size_of_text(root, kind) * scale, 3) for kind in kinds} == {7.0}


@pytest.mark.parametrize("width", ["8cm", "17cm"])
def test_no_words_leave_the_figure_or_stand_on_others(sketch, width):
    root = ElementTree.fromstring(render_printed(sketch, Wish(), read_width(width)))
    _, _, across, down = map(float, root.get("viewBox").split())
    found = list(texts(root))
    for words, (left, top, right, bottom) in found:
        assert (min(left, 0), min(top, 0), max(right, across), max(bottom, down)) == (0, 0, across, down), words
        assert "…" not in words
    for (one, a), (other, b) in combinations(found, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (one, other)


@pytest.mark.parametrize("metrics", METRICS[::3])
def test_no_box_or_wire_is_on_another(sketch, metrics, faults):
    from composer.draw.layout import lay_out

    view = opened(joined(build_view(sketch)), 2)
    assert faults(lay_out(view, role="whole", metrics=metrics), view) == []


@pytest.mark.parametrize(("name", "width"), [("segmentation/unet_resnet34", "1cm"), ("googlenet", "80pt")])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_least_width_fits_and_a_step_less_does_not(name, width, depth):
    sketch, wish = Sketch.of(composer.graph(name)), Wish(depth=depth)
    with pytest.raises(InputError) as raised:
        render_printed(sketch, wish, read_width(width))
    assert f"`{sketch.spec.name}` does not fit {width}: at 7 pt and at most 22 cm high it needs" in str(raised.value)
    least = re.search(r"write `--width ([\d.]+)(\w+)`", str(raised.value))
    assert render_printed(sketch, wish, read_width("".join(least.groups())))
    less = f"{float(least[1]) - {'cm': 0.1, 'pt': 1}[least[2]]:g}{least[2]}"
    with pytest.raises(InputError, match="does not fit"):
        render_printed(sketch, wish, read_width(less))


def test_a_high_network_goes_on_in_further_columns():
    sketch = Sketch.of(composer.graph("googlenet"))
    found = fitted(sketch, Wish(depth=2), read_width("40cm"), coloured=False)
    network = [piece for piece in found.pieces if piece.part.frame is None]
    assert len(network) > 1
    view = network[0].part.view
    drawn = [box.name for piece in network for box in piece.column.layout.boxes]
    assert drawn == ["in:input", *(box.name for box in view.boxes), "out:output"]
    for before, after in pairwise(network):
        assert len(before.column.leaves) == len(after.column.enters) == 1
        assert before.x + before.width < after.x


def test_the_legend_tells_the_marks_of_frames_too():
    sketch = Sketch.of(composer.graph("papers/cbam/resnet50"))
    found = fitted(sketch, Wish(select="layer3.1"), read_width("8cm"), coloured=False)
    assert [piece.part.frame.count for piece in found.pieces] == [5]
    assert [entry.number for entry in found.legend] == ["1", "×N"]


def test_operations_in_no_block_fill_a_figure_alone():
    sketch = Sketch.of(composer.graph("resnet18"))
    for place, detail in (("bn1", "batch_norm"), ("?[on]*1", "7×7 conv2d, 64, /2 + batch_norm")):
        (piece,) = fitted(sketch, Wish(select=place), read_width("8cm"), coloured=False).pieces
        (box,) = piece.part.view.boxes
        assert (piece.part.frame, box.detail) == (None, detail)


def test_every_wire_of_a_cut_goes_on():
    sketch = Sketch.of(composer.graph("segmentation/unet_resnet34"))
    found = fitted(sketch, Wish(depth=3), read_width("40cm"), coloured=False)
    assert max(len(piece.column.enters) for piece in found.pieces) == 5
    layout = found.pieces[0].column.layout
    assert columns(layout, layout.height) is not None
    assert columns(layout, 20) is None


def test_convolution_norm_and_activation_are_one_box():
    inner = {box.name: box for box in joined(build_view(Sketch.of(composer.graph("papers/cbam/resnet50")))).boxes}
    assert list(inner) == ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "global_pool", "fc"]
    assert inner["conv1"].detail == "7×7 conv2d, 64, /2 + batch_norm + relu"
    assert inner["conv1"].num_parameters == 64 * 3 * 49 + 2 * 64
    block = inner["layer1"].inner.boxes[1].inner
    # The activation after the sum, and what a rule inserted, stay boxes of their own.
    assert [box.label for box in block.boxes] == ["conv1", "conv2", "conv3", "cbam", "add", "act3"]


def test_a_norm_in_front_belongs_to_the_layer_behind_it():
    features = joined(build_view(Sketch.of(composer.graph("densenet121")))).boxes[0].inner
    layer = next(box for box in features.boxes if box.name == "denseblock1")
    assert [box.label for box in layer.inner.boxes] == ["conv1", "conv2", "concat"]
    assert layer.inner.boxes[0].detail == "batch_norm + relu + 1×1 conv2d, 128"


@pytest.mark.parametrize("text", ["8", "cm", "-8cm", "8 km", "0cm", "9999in", "1e9cm", "nan cm", ""])
def test_what_is_no_width_is_refused(text):
    with pytest.raises(InputError, match=r"--width 8cm"):
        read_width(text)


def test_a_png_and_a_pdf_are_as_wide():
    pytest.importorskip("cairosvg", exc_type=OSError)
    sketch = Sketch.of(composer.graph({"name": "small", "input": [3, 8, 8], "nodes": {"act": "relu"}}))
    with Image.open(io.BytesIO(render_figure(sketch, Wish(), read_width("8cm"), "png"))) as image:
        assert image.width / image.info["dpi"][0] * 2.54 == pytest.approx(8, abs=0.01)
    pdf = render_figure(sketch, Wish(), read_width("8cm"), "pdf")
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", pdf)
    assert float(box[1]) == pytest.approx(8 * 72 / 2.54, abs=0.1)


def test_what_fits_no_page_is_refused_at_once():
    chain = {
        f"n{index}": {"op": "conv2d", "out_channels": 8, "kernel_size": 1 + 2 * (index % 3)} for index in range(600)
    }
    sketch = Sketch.of(composer.graph({"name": "chain", "input": [8, 8, 8], "nodes": chain}))
    with pytest.raises(InputError, match=r"fits no width: .* more than 500 boxes"):
        render_printed(sketch, Wish(), read_width("17cm"))
