"""The pages that are written in Markdown, and the files of the repository that they link to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import escape, unescape
from pathlib import Path, PurePosixPath

from markdown_it import MarkdownIt
from pages import Page, Site, relative
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

REPOSITORY = Path(__file__).parents[2]
# Folders of Markdown, where their pages stand in the site, and their entry of the navigation.
_FOLDERS = (
    ("examples/tutorials", "tutorials", "Tutorials"),
    ("examples/guides", "guides", "Guides"),
    ("examples/tables", "measured", "Measured"),
)
_LINK = re.compile(r'(?P<head><(?:a|img)\b[^>]*?\b(?:href|src)=")(?P<target>[^"]*)"')
_HEADING = re.compile(r"<h(?P<level>[1-6])>(?P<text>.*?)</h(?P=level)>", re.DOTALL)
_OUTSIDE = re.compile(r"[a-z]+:|#")
_TEXTS = {
    ".yaml": "yaml",
    ".py": "python",
    ".md": "markdown",
    ".toml": "toml",
    ".json": "json",
    ".lua": "lua",
    ".js": "js",
}


def _written() -> Iterator[tuple[str, tuple[str, str]]]:
    """Every file that is a page of its own, with its path in the site and its entry of the navigation."""
    yield "README.md", ("index.html", "Start")
    for folder, place, room in _FOLDERS:
        paths = (REPOSITORY / folder).glob("*.md")
        for path in sorted(paths, key=lambda path: (path.stem != "README", path.name)):
            name = "index" if path.stem == "README" else path.stem
            yield f"{folder}/{path.name}", (f"{place}/{name}.html", room)
    yield "examples/compare/README.md", ("measured/compared.html", "Measured")
    yield "examples/papers.md", ("measured/papers.html", "Measured")


WRITTEN = dict(_written())


def pages(site: Site) -> Iterator[Page]:
    """A page for each file in WRITTEN; what they link to becomes part of the site."""
    for source, (path, room) in WRITTEN.items():
        body = html((REPOSITORY / source).read_text(encoding="utf-8"))
        title, body = _without_title(body, PurePosixPath(source).stem)
        yield Page(path, title, linked(_with_anchors(body), source, path, site), room)


def html(text: str) -> str:
    """Markdown as HTML, code in colours."""
    return str(_markdown().render(text))


def code(text: str, language: str) -> str:
    """Code in colours."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return f'<pre class="code" tabindex="0"><code>{escape(text)}</code></pre>'
    return f'<pre class="code" tabindex="0"><code>{highlight(text, lexer, HtmlFormatter(nowrap=True))}</code></pre>'


def linked(body: str, source: str, path: str, site: Site) -> str:
    """The HTML of a file of the repository with its links to other files as links within the site."""

    def replaced(match: re.Match[str]) -> str:
        target = unescape(match["target"])
        if _OUTSIDE.match(target):
            return match[0]
        file, hash_sign, anchor = target.partition("#")
        inside = _inside(_resolved(source, file), site)
        return f'{match["head"]}{escape(relative(inside, path) + hash_sign + anchor)}"'

    return _LINK.sub(replaced, body)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"highlight": lambda text, language, _: code(text, language)}).enable("table")


def _without_title(body: str, name: str) -> tuple[str, str]:
    """The text of the first heading, and the rest; the file's name where a table is all that there is."""
    found = _HEADING.match(body)
    if found is None or found["level"] != "1":
        return name, body
    return unescape(re.sub(r"<[^>]+>", "", found["text"])), body[found.end() :]


def _with_anchors(body: str) -> str:
    """The headings with ids, by which links lead to them."""

    def named(match: re.Match[str]) -> str:
        text = unescape(re.sub(r"<[^>]+>", "", match["text"])).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        return f'<h{match["level"]} id="{anchor}">{match["text"]}</h{match["level"]}>'

    return _HEADING.sub(named, body)


def _resolved(source: str, target: str) -> str:
    """A link of a file, as a path from the top of the repository."""
    parts: list[str] = []
    for part in (PurePosixPath(source).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _inside(file: str, site: Site) -> str:
    """Where a file of the repository stands in the site; it is added if it is not there yet."""
    if file in WRITTEN:
        return WRITTEN[file][0]
    found = REPOSITORY / file
    assert found.exists(), f"a page links to {file}, which does not exist"
    if found.is_dir():
        return _listed(file, site)
    if found.suffix not in _TEXTS:
        site.files.setdefault(f"files/{file}", found.read_bytes())
        return f"files/{file}"
    path = f"files/{file}.html"
    if path not in site.pages:
        site.add([Page(path, file, code(found.read_text(encoding="utf-8"), _TEXTS[found.suffix]))])
    return path


def _listed(folder: str, site: Site) -> str:
    """The page of a folder's files."""
    path = f"files/{folder}/index.html"
    if path not in site.pages:
        names = sorted(one.name for one in (REPOSITORY / folder).iterdir() if one.suffix in _TEXTS)
        links = [(name, relative(_inside(f"{folder}/{name}", site), path)) for name in names]
        items = "".join(f'<li><a href="{escape(link)}">{escape(name)}</a></li>' for name, link in links)
        site.add([Page(path, folder, f"<ul>{items}</ul>")])
    return path
