"""Makes notebooks of the tutorials: python examples/tutorials/notebooks.py -o FOLDER. Needs nbformat; commits nothing.

A tutorial is Markdown. Its blocks run from top to bottom in one folder: `python` in one process, `sh` as a command. A
block whose fence names a file, such as ```yaml net.yaml, is that file. The last line names the tutorial's picture.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_FENCE = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"<!-- picture: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A part of a tutorial: `words` (Markdown), `python`, `sh`, or `file` with the name of the file."""

    kind: str
    text: str
    file: str = ""


def blocks(text: str) -> Iterator[Block]:
    """The parts of a tutorial in order; blocks of other languages that name no file are words."""
    end = 0
    for found in _FENCE.finditer(text):
        kind = "file" if found["file"] else found["language"]
        if kind in ("python", "sh", "file"):
            if words := text[end : found.start()].strip():
                yield Block("words", words)
            yield Block(kind, found["text"], found["file"] or "")
            end = found.end()
    if words := text[end:].strip():
        yield Block("words", words)


def picture(text: str) -> str:
    """The name of the picture that a tutorial ends in."""
    (name,) = _PICTURE.findall(text)
    return str(name)


def tutorials() -> list[Path]:
    """The tutorials, in order."""
    return sorted(HERE.glob("[0-9]_*.md"))


def notebook(text: str) -> str:
    """A tutorial as the text of a notebook, whose last cell shows the picture."""
    import nbformat

    made = nbformat.v4.new_notebook()
    for number, block in enumerate([*blocks(text), Block("python", _show(picture(text)))]):
        made.cells.append(_cell(block))
        # nbformat draws it by chance, and the same tutorial should make the same file.
        made.cells[-1]["id"] = f"cell-{number}"
    nbformat.validate(made)
    return str(nbformat.writes(made))


def _cell(block: Block):
    from nbformat.v4 import new_code_cell, new_markdown_cell

    if block.kind == "words":
        return new_markdown_cell(block.text)
    if block.kind == "file":
        return new_code_cell(f"%%writefile {block.file}\n{block.text.rstrip()}")
    return new_code_cell(f"%%bash\n{block.text.rstrip()}" if block.kind == "sh" else block.text.rstrip())


def _show(name: str) -> str:
    kind = "SVG" if name.endswith(".svg") else "Image"
    return f"from IPython.display import {kind}\n\n{kind}({name!r})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("notebooks"), help="the folder (default: notebooks)")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for path in tutorials():
        target = output / f"{path.stem}.ipynb"
        target.write_text(notebook(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {target}")


if __name__ == "__main__":
    main()
