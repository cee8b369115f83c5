"""An SVG as PNG or PDF, in fonts that have its characters.

CairoSVG uses a single font per text, even if it lacks characters, and ignores `textLength`. So each text gets the first
installed font that has all its characters, and a size at which it is no longer than measured.
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
    """The SVG with a font and size per text, and with words in visual order."""
    ElementTree.register_namespace("", SVG)
    root, missing = ElementTree.fromstring(svg), dict[str, None]()
    for element in root.iter(f"{{{SVG}}}text"):
        words, kind = element.text or "", element.get("class", "")
        usual = _first(MONO if "mono" in kind.split() else FONT)
        family = next((one for one in _families(words, usual) if not _lacks(one, words)), usual)
        missing |= dict.fromkeys(_lacks(family, words))
        element.set("style", f"font-family:'{family}'{_smaller(element, words, kind, family)}")
        element.text = _as_seen(words)
    if missing:
        raise UnavailableError(_no_font(list(missing), format))
    return bytes(ElementTree.tostring(root))


def _smaller(element: ElementTree.Element, words: str, kind: str, family: str) -> str:
    """The font size at which words are no longer than measured, as CSS; empty if their own size fits."""
    own, bold = size_of(kind)
    size, most = float(own), float(element.get("textLength", 0))
    # In steps, because glyphs are a whole number of dots wide: length is not exactly proportional to size.
    while most and _length(words, family, size, bold=bold) > most + TOLERANCE:
        size *= 0.98
    return "" if size == own else f";font-size:{size:.2f}px"


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
