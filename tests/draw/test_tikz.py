"""TikZ: all that the SVG shows, at the same places; names are no commands; pdflatex makes a page of that size."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw, draw_problems
from composer.draw.printed.render import render_figure
from composer.draw.printed.svg import render_printed
from composer.draw.printed.width import read_width
from composer.draw.render import render
from composer.draw.svg import render_svg
from composer.draw.tex import words
from composer.draw.tikz import render_tikz
from composer.errors import Diagnostic, InputError
from tests.draw.test_printed import placed

HOSTILE = r"\input{/etc/passwd} $x$ & 100% #1 ^^41 ~_{} <a>|b`` -- '' ,, é Ω 网 מ"


def places(svg):
    """Where the words and boxes of an SVG are, in order."""
    for element, x, y in placed(ElementTree.fromstring(svg)):
        kind = element.tag.rpartition("}")[2]
        if kind in ("text", "rect") and (kind == "rect" or element.text):
            yield f"({x + float(element.get('x')):g},{y + float(element.get('y')):g})"


def compiled(text, folder):
    """The pages that pdflatex makes, and how large they are in pt."""
    (folder / "x.tex").write_bytes(text if isinstance(text, bytes) else text.encode())
    told = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "x.tex"]
    done = subprocess.run(told, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "(1 page," in done.stdout
    pdf = (folder / "x.pdf").read_bytes()
    found = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    return None if found is None else (float(found[1]), float(found[2]))


@pytest.mark.parametrize("name", ["papers/cbam/resnet50", "segmentation/unet_resnet34"])
def test_everything_is_where_the_svg_has_it(name):
    sketch, width = Sketch.of(composer.graph(name)), read_width("8cm")
    for svg, tex in (
        (render_printed(sketch, Wish(), width), render_figure(sketch, Wish(), width, "tex").decode()),
        (render_svg(draw(sketch), "light"), render(draw(sketch), "tex").decode()),
    ):
        drawn = [
            re.search(r"\([-\d.,]+\)", line)[0]
            for line in tex.splitlines()
            if line.startswith("\\node") or " rectangle " in line
        ]
        assert drawn[1:] == list(places(svg))
        assert tex.count("\\draw[") == svg.count('class="wire"')
    _, _, across, _ = map(float, re.search(r'viewBox="([^"]*)"', render_printed(sketch, Wish(), width))[1].split())
    scale = float(re.search(r"\[x=([\d.]+)bp", render_figure(sketch, Wish(), width, "tex").decode())[1])
    assert across * scale == pytest.approx(8 * 72 / 2.54, rel=1e-4)


def test_names_are_no_commands():
    written = words(HOSTILE)
    assert set(re.findall(r"\\([a-z]+)", written)) <= {
        *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar"),
        *("textasciigrave", "cgchar"),
    }
    assert written.startswith("\\textbackslash{}input\\{/etc/passwd\\} \\$x\\$ \\& 100\\% \\#1")
    assert "^" not in written


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_pdflatex_makes_a_page_of_its_size(tmp_path):
    sketch = Sketch.of(composer.graph("papers/cbam/resnet50"))
    size = compiled(render_figure(sketch, Wish(), read_width("8cm"), "tex"), tmp_path)
    # Objects may be compressed, and then the size is not to be read.
    assert size is None or size[0] == pytest.approx(8 * 72 / 2.54, abs=0.1)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_a_hostile_name_is_printed_and_a_document_takes_the_picture(tmp_path):
    picture = draw_problems(HOSTILE, [Diagnostic("structure", HOSTILE)])
    text = render_tikz(render_svg(picture, "dark"), "dark")
    compiled(text, tmp_path)
    assert "Overfull" not in (tmp_path / "x.log").read_text(encoding="utf-8", errors="replace")
    (tmp_path / "figure.tex").write_text(text, encoding="utf-8")
    paper = "\\documentclass{article}\\usepackage{tikz}\\begin{document}a \\input{figure} b\\end{document}\n"
    compiled(paper, tmp_path)


def test_a_picture_that_tex_cannot_count_is_refused():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20000" width="10" height="20000"/>'
    with pytest.raises(InputError, match="20000 pixels long, and TeX cannot count beyond 16000"):
        render_tikz(svg, "light")
