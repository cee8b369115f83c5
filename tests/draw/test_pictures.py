"""The pictures in examples/pictures are what the code draws now. Renew with `pytest --renew`, then look at them."""

from __future__ import annotations

from pathlib import Path

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw
from composer.draw.render import render

FOLDER = Path(__file__).parent.parent.parent / "examples" / "pictures"
NETWORKS = Path(__file__).parent / "networks"
# File -> what is drawn, how, and in which colours.
PICTURES = {
    "cbam_resnet50.svg": ("papers/cbam/resnet50", Wish(), "paper"),
    "bam_resnet50.svg": ("papers/bam/resnet50", Wish(), "auto"),
    "cbam_mobilenetv2.svg": ("papers/cbam/mobilenetv2_100", Wish(), "auto"),
    "vit.svg": ("vit_base_patch16_224", Wish(), "auto"),
    "unet.svg": (NETWORKS / "unet.yaml", Wish(depth=1), "auto"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_what_is_drawn_now(name, request):
    source, wish, theme = PICTURES[name]
    drawn = render(draw(Sketch.of(composer.graph(source)), wish), "svg", theme)
    if request.config.getoption("--renew"):
        (FOLDER / name).write_bytes(drawn)
    assert (FOLDER / name).read_bytes() == drawn


def test_no_picture_without_its_network():
    assert {path.name for path in FOLDER.glob("*.svg")} == set(PICTURES)
