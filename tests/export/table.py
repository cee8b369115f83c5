"""The matrix of mechanisms and formats, to be kept as examples/tables/export.md:

python -m tests.export.table [--formats onnx,pt2] [--names se,cbam] > examples/tables/export.md

What is measured is kept in tests/export/measured.json, cell by cell: formats whose packages exclude one another are
measured one after another. `--print` prints what is there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import composer
from composer.exporting.format import FORMATS
from tests.export.cells import NAMES, Cell, cell_of, model_of

MEASURED = Path(__file__).parent / "measured.json"
HEAD = """\
# Mechanisms and formats

Made by `python -m tests.export.table`. Each cell is an export of a small network: two residual blocks of 64
channels on 14 × 14, the mechanism at its usual place, weights that let every branch speak (`class_attention` in
a ViT). The file was run by its engine beside the network, on its own size and on others that may vary. A number
is the largest difference of an output, as a share of its largest value; behind it stand the axes that vary in
the file, b h w. *Not run here*: Core ML's packages are converted, and their declared inputs and outputs
compared. An empty cell was not measured. A tenth of the cells is tried again for every commit."""


def read() -> dict[str, dict[str, Cell]]:
    """What was measured: name of a mechanism -> format -> cell."""
    kept = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {"cells": {}}
    return {name: {key: Cell(**cell) for key, cell in row.items()} for name, row in kept["cells"].items()}


def versions() -> dict[str, str]:
    """The versions that the kept cells were measured with, by format."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))["versions"] if MEASURED.exists() else {}


def keep(cells: dict[str, dict[str, Cell]], engines: dict[str, str]) -> None:
    """Write what was measured, a line for each mechanism."""
    rows = ",\n".join(
        f"{json.dumps(name)}: {json.dumps({key: asdict(cells[name][key]) for key in sorted(cells[name])})}"
        for name in sorted(cells)
    )
    text = f'{{"versions": {json.dumps(engines, sort_keys=True)},\n"cells": {{\n{rows}\n}}}}\n'
    # Another process may read it meanwhile.
    beside = MEASURED.with_suffix(f".{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(MEASURED)


def measure(formats: Sequence[str], names: Sequence[str]) -> None:
    """Measure cells and keep each row as soon as it is there."""
    for name in names:
        model = model_of(name)
        found = {format: cell_of(model, format) for format in formats}
        # Another process may have kept cells meanwhile.
        cells = read()
        cells.setdefault(name, {}).update(found)
        keep(cells, {**versions(), **{one: FORMATS[one].version for one in formats}})
        print(name, {key: cell.status for key, cell in found.items()}, file=sys.stderr, flush=True)


def text_of(cell: Cell | None) -> str:
    """A cell as text; empty for one that was not measured."""
    if cell is None:
        return ""
    if cell.status != "ok":
        return cell.status
    letters = "".join(axis for axis, word in (("b", "batch"), ("h", "height"), ("w", "width")) if word in cell.varying)
    number = "not run here" if cell.difference is None else "0" if not cell.difference else f"{cell.difference:.0e}"
    return f"{number} {letters}".strip()


def lines(cells: dict[str, dict[str, Cell]], engines: dict[str, str]) -> Iterable[str]:
    """The table in Markdown."""
    yield f"{HEAD}\n"
    yield f"| mechanism | {' | '.join(FORMATS)} |"
    yield "|---" * (len(FORMATS) + 1) + "|"
    for name in NAMES:
        row = cells.get(name, {})
        yield f"| `{name}` | {' | '.join(text_of(row.get(format)) for format in FORMATS)} |"
    yield "\n## What is refused, and what fails\n"
    for name in NAMES:
        for format, cell in cells.get(name, {}).items():
            if cell.status != "ok":
                yield f"- `{name}`, {format}: {' '.join(cell.said.split())}"
    yield "\n## Quantizers\n"
    for format in FORMATS.values():
        yield f"- {format.name}: {format.quantizer or 'none here'}"
    yield f"\nVersions: torch {metadata.version('torch')}, {', '.join(sorted(set(engines.values())))}."


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.export.table")
    parser.add_argument("--formats", default=",".join(there()), help="those whose packages are installed")
    parser.add_argument("--names", default=",".join(NAMES), help="mechanisms")
    parser.add_argument("--print", action="store_true", help="print what was kept, and measure nothing")
    options = parser.parse_args()
    if not options.print:
        with contextlib.redirect_stdout(sys.stderr):
            measure(options.formats.split(","), options.names.split(","))
    print("\n".join(lines(read(), versions())))


def there() -> list[str]:
    """The formats whose packages are installed."""
    found = []
    for format in FORMATS.values():
        with contextlib.suppress(composer.UnavailableError):
            format.require()
            found.append(format.name)
    return found


if __name__ == "__main__":
    main()
