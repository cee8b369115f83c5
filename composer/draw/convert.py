"""An SVG as PNG or PDF, in fonts that have its characters.

CairoSVG uses a single font per text, even if it lacks characters, and ignores `textLength`. So each text gets the first
installed font that has all its characters, or is drawn in parts of a font each, and becomes narrower where it is longer
than measured.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from composer.draw.text import size_of
from composer.draw.theme import FONT, MONO
from composer.errors import Diagnostic, UnavailableError

# Pixels of a PNG per pixel of the SVG: sharp on paper and on high-resolution screens.
PNG_SCALE = 2
# How much longer than measured a line may be, in pixels of the SVG.
TOLERANCE = 1
SVG = "http://www.w3.org/2000/svg"
# Fonts to try if no tool knows which font has a character; they include Chinese, Japanese and Korean.
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS")


def convert(svg: str, format: str, *, scale: float = PNG_SCALE) -> bytes:
    """The content of the file; a PNG has `scale` pixels per pixel of the SVG.

    Raises UnavailableError without CairoSVG, or if no font has a character of the SVG.
    """
    try:
        import cairosvg
    except (ImportError, OSError) as error:
        # OSError: the Python package is installed, but not the library that it binds.
        help = ("pip install 'attention-composer[draw]'; it needs the cairo library (libcairo2) too",)
        text = f"{format.upper()} needs the extra `draw`: {error}"
        raise UnavailableError(Diagnostic("extra", text, label="CairoSVG, or an SVG", help=help)) from error
    fitted = _fitted(svg, format)
    if format == "pdf":
        return bytes(cairosvg.svg2pdf(bytestring=fitted))
    return bytes(cairosvg.svg2png(bytestring=fitted, scale=scale))


def _fitted(svg: str, format: str) -> bytes:
    """The SVG with fonts for each text, no text longer than measured, and words in visual order."""
    ElementTree.register_namespace("", SVG)
    root, missing = ElementTree.fromstring(svg), dict[str, None]()
    for element in list(root.iter(f"{{{SVG}}}text")):
        kind = element.get("class", "")
        usual = _first(MONO if "mono" in kind.split() else FONT)
        runs = _runs(_as_seen(element.text or ""), usual)
        missing |= dict.fromkeys(letter for family, words in runs for letter in _lacks(family, words))
        _set(element, runs, kind)
    if missing:
        raise UnavailableError(_no_font(list(missing), format))
    return bytes(ElementTree.tostring(root))


def _runs(words: str, usual: str) -> list[tuple[str, str]]:
    """Parts of a text, each with a font that has its characters if there is one; a single part if one font has all."""
    whole = next((family for family in _families(words, usual) if not _lacks(family, words)), None)
    if whole is not None:
        return [(whole, words)]
    runs: list[tuple[str, str]] = []
    for letter in words:
        before = runs[-1][0] if runs else usual
        families = (before, *_families(letter, usual)) if letter == " " else _families(letter, usual)
        family = next((one for one in families if not _lacks(one, letter)), usual)
        if runs and family == before:
            runs[-1] = (before, runs[-1][1] + letter)
        else:
            runs.append((family, letter))
    return runs


def _set(element: ElementTree.Element, runs: list[tuple[str, str]], kind: str) -> None:
    """Write a text in these fonts; one that is longer than measured becomes narrower, and keeps its height."""
    size, bold = size_of(kind)
    lengths = [_length(words, family, size, bold=bold) for family, words in runs]
    most, length = float(element.get("textLength", 0)), sum(lengths)
    narrow = most / length if most and length > most + TOLERANCE else 1.0
    x, y = float(element.get("x", 0)), float(element.get("y", 0))
    if len(runs) == 1:
        element.text = runs[0][1]
        element.set("style", f"font-family:'{runs[0][0]}'")
        if narrow < 1:
            element.set("transform", f"translate({x:g} {y:g}) scale({narrow:.4f} 1)")
            element.attrib.update({"x": "0", "y": "0"})
        return
    own = kind.split()
    x -= length * narrow * (1 if "end" in own else 0.5 if "mid" in own else 0)
    element.clear()
    element.tag = f"{{{SVG}}}g"
    element.set("transform", f"translate({x:g} {y:g}) scale({narrow:.4f} 1)")
    start, own = 0.0, [one for one in own if one not in ("end", "mid")]
    for (family, words), along in zip(runs, lengths, strict=True):
        place = {"x": f"{start:g}", "y": "0", "class": " ".join(own), "style": f"font-family:'{family}'"}
        ElementTree.SubElement(element, f"{{{SVG}}}text", place).text = words
        start += along


def _families(words: str, usual: str) -> Iterator[str]:
    """Fonts that may have all characters of a text, the usual font first."""
    yield usual
    if found := _font_with("".join(sorted({one for one in words if not one.isascii()}))):
        yield found
    yield from FONTS


@lru_cache(maxsize=1024)
def _font_with(characters: str) -> str:
    """The font that fontconfig chooses for these characters; empty if fontconfig is not installed."""
    program = shutil.which("fc-match")
    if program is None or not characters:
        return ""
    pattern = f":charset={' '.join(f'{ord(one):x}' for one in characters)}"
    done = subprocess.run([program, "-f", "%{family[0]}", pattern], capture_output=True, text=True, check=False)
    return done.stdout.strip() if re.fullmatch(r"[\w .-]+", done.stdout.strip()) else ""


def _lacks(family: str, words: str) -> str:
    """The characters that a font lacks, without the replacement character, which may look like a missing one."""
    return "".join(one for one in dict.fromkeys(words) if one != "\N{REPLACEMENT CHARACTER}" and not _has(family, one))


@lru_cache(maxsize=4096)
def _has(family: str, character: str) -> bool:
    glyphs = _context(family).get_scaled_font().text_to_glyphs(0, 0, character, with_clusters=False)
    return all(index for index, *_ in glyphs)


@lru_cache(maxsize=4096)
def _length(words: str, family: str, size: float, *, bold: bool) -> float:
    context = _context(family, bold=bold)
    context.scale(PNG_SCALE, PNG_SCALE)
    context.set_font_size(size)
    return float(context.text_extents(words)[4])


def _context(family: str, *, bold: bool = False) -> Any:
    import cairocffi as cairo

    context = cairo.Context(cairo.ImageSurface(cairo.FORMAT_A8, 1, 1))
    context.select_font_face(family, weight=cairo.FONT_WEIGHT_BOLD if bold else cairo.FONT_WEIGHT_NORMAL)
    return context


def _as_seen(words: str) -> str:
    """Words in visual order, from left to right: right-to-left text, Hebrew or Arabic, is reversed."""
    # L: left to right; R: right to left; N: as its surroundings.
    kinds = "".join({"R": "R", "AL": "R", "WS": "N", "ON": "N", "NSM": "N"}.get(one, "L") for one in map(_way, words))
    for turned in re.finditer(r"R(?:[RN]*R)?", kinds):
        start, end = turned.span()
        words = words[:start] + words[start:end][::-1] + words[end:]
    return words


def _way(character: str) -> str:
    return unicodedata.bidirectional(character)


def _first(families: str) -> str:
    return families.partition(",")[0].strip("'\"")


def _no_font(missing: list[str], format: str) -> Diagnostic:
    shown = " ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
    help = ("write an .svg or .html, which the reader's own fonts show", "or install a font that has them, as Noto's")
    return Diagnostic("font", f"no font here has {shown}", label=f"a {format.upper()} would show boxes", help=help)
