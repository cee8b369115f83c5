"""The whole look: every mechanism is drawn, the page stands alone, the folder is written whole or not at all."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from draw.test_notebook import KEPT, Sanitizer
from looking.conftest import small
from PIL import Image

import composer
from composer.errors import InputError, UnavailableError
from composer.looking import canvas
from tests.mechanisms.cases import SAMPLED, case_of


@pytest.fixture(scope="module")
def look():
    return composer.look(composer.build(small("cbam")), torch.rand(1, 3, 32, 32))


def pixels_of(made):
    return np.asarray(Image.open(io.BytesIO(canvas.png(made))).convert("RGB"))


@pytest.mark.parametrize("entry", SAMPLED)
def test_every_mechanism_has_a_figure(entry):
    name = entry.name
    spec = small(name, side=16, **case_of(name).small)
    if case_of(name).class_token:
        rule = {"use": name, "replace": "mixer", "where": "last", "with": case_of(name).small}
        vit = {"backbone": "vit_tiny_patch16_224", "vars": {"depth": 2, "patch": 4}}
        spec = {**vit, "input": [3, 16, 16], "attention": [rule]}
    look = composer.look(composer.build(spec), torch.rand(1, 3, 16, 16))
    own = [section for section in look.sections if section.title.startswith(f"{name}: ")]
    assert own
    for section in own:
        assert section.plates
        assert section.table.rows
        with canvas.styled():
            for plate in section.plates:
                assert len(np.unique(pixels_of(plate.draw()).reshape(-1, 3), axis=0)) > 20
    assert not any(section.title == "Other values" for section in look.sections)


def replace_block(model):
    model.layer1[0] = torch.nn.Conv2d(64, 64, 1)


def remove_block(model):
    del model.layer1[1]


def replace_stage(model):
    model.layer4 = torch.nn.Conv2d(256, 512, 1, stride=2)


@pytest.mark.parametrize(("edit", "left"), [(replace_block, 7), (remove_block, 7), (replace_stage, 6)])
def test_attention_that_was_removed_by_hand_is_left_out(edit, left):
    spec = {"backbone": "resnet18", "input": {"shape": [3, 64, 64]}, "attention": [{"use": "cbam", "after": "branch"}]}
    model = composer.build(spec)
    edit(model)
    look = composer.look(model, torch.rand(1, 3, 64, 64))
    assert len(look.sections[0].table.rows) == left
    assert "Changed by hand since it was composed" in look.lead[0]
    assert {section.title for section in look.sections} >= {"Sites", "Grad-CAM"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_folder_holds_one_page_and_the_figures_that_are_in_it(look, tmp_path):
    written = look.write(tmp_path / "out")
    assert [path.name for path in written] == ["index.html", *(f"{name}.png" for name in look.figures())]
    assert sorted(tmp_path.joinpath("out").iterdir()) == sorted(written)
    page = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    images = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in page.all("img")]
    # The page begins with maps over the photograph.
    assert images[0] == (tmp_path / "out" / "cbam-maps-1.png").read_bytes()
    assert sorted(images) == sorted(path.read_bytes() for path in written[1:])
    assert all(image["alt"] for image in page.all("img"))
    for image, data in zip(page.all("img"), images, strict=True):
        assert Image.open(io.BytesIO(data)).size == (int(image["width"]), int(image["height"]))


def test_the_page_asks_for_nothing_and_runs_nothing(look, tmp_path):
    look.write(tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.all("script")
    assert not any(
        "style" in attributes or any(name.startswith("on") for name in attributes) for _, attributes in page.tags
    )
    assert "http" not in re.sub(r"http-equiv", "", re.sub(r'src="data:[^"]*"', "", text))
    # All but the first screen is folded, each section by itself.
    assert len(page.all("details")) == len(page.all("summary")) == len(look.sections)
    assert len(page.all("section")) == 1
    assert "prefers-color-scheme: dark" in text


def test_the_same_look_is_the_same_to_the_byte(tmp_path):
    for name in ("one", "two"):
        composer.look(composer.build(small("bam")), torch.ones(1, 3, 32, 32) / 3).write(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_file_that_exists_is_kept_and_nothing_else_is_written(look, tmp_path):
    (tmp_path / "cbam-gates.png").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        look.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cbam-gates.png"]
    look.write(tmp_path, force=True)
    assert (tmp_path / "cbam-gates.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_is_a_file(look, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        look.write(tmp_path / "out")


def test_names_from_outside_are_text_and_nothing_else(tmp_path):
    evil = tmp_path / "<img src=x onerror=alert(1)> $x$ \u202e漢 & co.png"
    Image.new("RGB", (40, 40), (200, 90, 30)).save(evil)
    spec = {**small("cbam"), "name": "</title><script>alert(1)</script>", "classes": ["<b>", "$\\frac{", "c", "d"]}
    folder = tmp_path / "out"
    composer.look(composer.build(spec), evil).write(folder)
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.all("script")
    assert all(image["src"].startswith("data:image/png") for image in page.all("img"))
    assert "\u202e" not in text
    assert all(re.fullmatch(r"[a-z0-9_-]+\.png|index\.html", path.name) for path in folder.iterdir())


def test_long_names_of_nodes(tmp_path):
    long = "n" * 100
    spec = {"input": [3, 16, 16], "nodes": {long: {"op": "se", "reduction": 1}, "pool": "global_avg_pool"}}
    composer.look(composer.build(spec), torch.rand(1, 3, 16, 16)).write(tmp_path / "out")


def test_findings_and_notebooks(look):
    assert {one.where for one in look.findings} <= {"cbam", "act"}
    markup = look._repr_html_()
    cleaned, whole = Sanitizer(markup), Page(markup)
    # What a notebook that is not trusted lets through is all of it.
    assert {tag for tag, _ in whole.tags} <= KEPT
    assert [one["src"] for one in cleaned.images] == [one["src"] for one in whole.all("img")]
    assert len(cleaned.images) == len(look.figures())
    for text in (look.lead[0], look.sections[0].title, look.findings[0].what, "Numbers"):
        assert text in cleaned.words
    assert "sections" not in repr(look)


def test_a_source_is_built_and_one_image_alone_may_be_named(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("L", (50, 40), 128).save(path)
    assert composer.look(small("se"), str(path)).network == "small_se"
    assert composer.look(small("se"), [path, path]).lead[0] == "small_se on 2 images, in eval mode and float32."


def test_weights_of_the_file_and_those_that_attention_put_in(tmp_path):
    from safetensors.torch import save_file

    plain = {**small("se"), "attention": []}
    save_file(composer.build(plain, seed=5).state_dict(), tmp_path / "w.safetensors")
    model = composer.build(small("se"), weights=tmp_path / "w.safetensors")
    lead = composer.look(model, torch.rand(1, 3, 32, 32)).lead[1]
    assert "`w.safetensors`. 4 tensors that attention put in are not among them" in lead
    assert "(seed 0), unless it was trained" in composer.look(small("se"), torch.rand(1, 3, 32, 32)).lead[1]


def test_a_network_without_attention_has_receptive_fields_alone():
    plain = {**small("se"), "attention": []}
    with pytest.raises(InputError, match="has no attention to look at") as caught:
        composer.look(plain, torch.rand(1, 3, 32, 32))
    assert "use: cbam, after: branch" in str(caught.value)
    look = composer.look(plain, torch.rand(1, 3, 32, 32), nodes="conv")
    assert [section.title for section in look.sections] == ["Grad-CAM", "Effective receptive field"]


def test_unknown_nodes_and_classes():
    model, image = composer.build({**small("se"), "classes": ["ant", "bee", "cat", "dog"]}), torch.rand(1, 3, 32, 32)
    with pytest.raises(InputError, match="did you mean `conv`"):
        composer.look(model, image, nodes=["convv", "conv"])
    with pytest.raises(InputError, match="`fc` gives b×4"):
        composer.look(model, image, nodes="fc")
    with pytest.raises(InputError, match="did you mean `cat`"):
        composer.look(model, image, target="cta")
    with pytest.raises(InputError, match="from 0 to 3"):
        composer.look(model, image, target=4)
    titles = [plate.title for section in composer.look(model, image, target="bee").sections for plate in section.plates]
    assert "image 1: class 1, bee" in titles


def test_without_matplotlib_findings_are_there_and_figures_name_the_extra(look, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnavailableError, match=re.escape("attention-composer[look]")):
        look.figures()
    assert look.findings


def test_the_name_means_the_same_before_and_after_a_part_is_imported():
    import subprocess
    import sys

    code = """
import composer
before = composer.look
import composer.looking.plates as plates
assert before is composer.look and composer.looking.plates is plates and callable(composer.look)
import sys
assert "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_networks_that_end_in_several_outputs_have_no_classes():
    model = composer.build(small("se", outputs={"map": "act", "logits": "fc"}))
    look = composer.look(model, torch.rand(1, 3, 32, 32))
    assert not any(section.title == "Grad-CAM" for section in look.sections)
    with pytest.raises(InputError, match="ends in no vector of logits"):
        composer.look(model, torch.rand(1, 3, 32, 32), target=0)


def test_each_image_that_is_drawn_has_its_own_figures_and_likeliest_class():
    spec = {**small("cbam"), "input": {"shape": [3, 24, 40]}}
    images = torch.rand(5, 3, 24, 40)
    model = composer.build(spec).eval()
    look = composer.look(model, images)
    made = look.figures()
    for name in ("cbam-maps", "grad-cam"):
        assert [one for one in made if one.startswith(name)] == [f"{name}-{number}" for number in range(1, 5)]
    (section,) = [one for one in look.sections if one.title == "Grad-CAM"]
    with torch.no_grad():
        likeliest = model(images).argmax(1).tolist()
    assert [row[1] for row in section.table.rows] == [f"class {index}" for index in likeliest]
    photo = made["cbam-maps-1"].axes[0]
    box = photo.get_window_extent()
    assert box.height / box.width == pytest.approx(24 / 40, abs=0.01)
    assert "5 images; figures show the first 4" in look.lead[0]
