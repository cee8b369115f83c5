"""Which families of timm and torchvision import: `python -m tests.importing.families` writes examples/tables/import.md.

Each is imported as `composer import` does: every key equal, and the outputs bit by bit with random weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from composer.errors import ComposerError
from composer.importing.recorded.source import import_named

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "examples" / "tables" / "import.md"
FAMILIES = yaml.safe_load((HERE / "families.yaml").read_text())


@dataclass(frozen=True)
class Row:
    """A model that was imported, or not.

    lines  of the spec; 0 if there is none. They are printed; the table says whether there is a spec
    why    what no layer is, as the error says, and how many more problems there are
    """

    family: str
    source: str
    lines: int
    why: str = ""


def sources() -> Iterator[tuple[str, str]]:
    """Family and source of each model."""
    yield from ((family, f"timm:{name}") for family, name in FAMILIES["timm"].items())
    yield from ((name, f"torchvision:{name}") for name in FAMILIES["torchvision"])


def row(family: str, source: str) -> Row:
    """Imports a model."""
    try:
        return Row(family, source, import_named(source).text.count("\n"))
    except ComposerError as error:
        first, *others = error.diagnostics
        more = len(others) + error.omitted
        return Row(family, source, 0, first.message + (f", and {more} more" if more else ""))


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    found = ["# What `composer import` writes as a spec", ""]
    found += [
        "Made by `python -m tests.importing.families`: a small model of each family, imported with every key equal and",
        "with outputs that are equal bit by bit. Where a part is no layer, the first is named.",
        "",
    ]
    for library in ("timm", "torchvision"):
        own = [one for one in rows if one.source.startswith(f"{library}:")]
        if not own:
            continue
        found += [f"## {library}: {sum(one.lines > 0 for one in own)} of {len(own)}", ""]
        found += ["| family | model | a spec | no spec, because |", "|---|---|---|---|"]
        for one in own:
            why = one.why.replace("|", "¦")
            found.append(
                f"| {one.family} | `{one.source.partition(':')[2]}` | {'yes' if one.lines else 'no'} | {why} |"
            )
        found.append("")
    return "\n".join(found)


def main() -> None:
    """Imports all families, or those that are named, and writes the table."""
    wanted = set(sys.argv[1:])
    rows = []
    for family, source in sources():
        if wanted and family not in wanted:
            continue
        start = time.perf_counter()
        rows.append(row(family, source))
        said = f"{rows[-1].lines} lines" if rows[-1].lines else rows[-1].why[:140]
        print(f"{source}: {said} ({time.perf_counter() - start:.1f} s)", flush=True)
    print(f"{sum(one.lines > 0 for one in rows)} of {len(rows)}")
    if not wanted:
        TABLE.write_text(table(rows))


if __name__ == "__main__":
    main()
