"""Puts four mechanisms into every model of other libraries and prints what holds as a table, to be kept as
examples/tables/reach.md:

python -m tests.hosts.reach [--only LIBRARY] [--family NAME] [--rows FILE [--kept]]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.hosts.reach_checks import ASPECTS, COLUMNS, MECHANISMS, NO, NONE, YES, Fresh, Result, examine, first_line
from tests.hosts.reach_models import Subject, subjects

PACKAGES = {
    "timm": "timm",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "smp": "segmentation-models-pytorch",
}
NOT_RUN = Result(note="not run")
INTRODUCTION = """\
# Reach

What holds when composer puts mechanisms into the models of other libraries: a small member of each of timm's families,
of torchvision's for classification, segmentation and detection, vision models of transformers made of small
configurations, and smp's architectures. Made by `python -m tests.hosts.reach`.

- *recorded*: its graph is recorded, for the images that its library states; *blocks*: those recognised are those that
  `tests/hosts/families.yaml` and the tests of sites list, by eye on the source; *layout*: the axes of what every block
  gives are known.
- *channel gate* (`se`) and *spatial gate* (`cbam_spatial`) behind every block, *token mixer* (`mhsa`) behind the last,
  each with `start: identity`; *kernel* (`condconv`) in place of the first two convolutions that see neighbours.
  `✓` is three things: in evaluation mode the outputs are equal to the last bit (of a kernel: the shapes); no key of the
  model is lost or moved, but for those of what is replaced; and in training, with γ at 0.5, every new parameter gets a
  gradient. Of a block with several outputs, the place is the node inside that gives the first that has positions.
- *pickles*: with the first of these inside, the model is saved whole, and gives the same to the last bit in another
  process, which imports what pickles name; *exports*: `torch.export`, `strict=False`.
- Numbers are random, images of the smallest size that a model takes (64, 128, or its own), and batches of 2. Weights
  that start at zero get numbers, since nothing is seen behind them. Blocks that give a class token alone take no gate.

`–`: it does not apply, decided by code: no block gives a map or tokens of one (gates and *token mixer*), none has a
convolution larger than 1×1 (*kernel*), or the library's own model does not export. Without a sign below *blocks*:
nobody has counted. Rows that say so were not run, and totals leave them out. `✗` is explained below each table."""


def rows(chosen: Sequence[Subject], kept: Path | None, *, run: bool = True) -> Iterator[tuple[Subject, Result]]:
    """The rows of these models; those that a file has are taken from it, others are added to it as they come.

    run  whether the others are made; without it they have no cells
    """
    known: dict[tuple[str, str], Result] = {}
    if kept is not None and kept.exists():
        for line in kept.read_text().splitlines():
            one = json.loads(line)
            key = one.pop("library"), one.pop("name")
            known[key] = Result(**one)
    fresh = Fresh()
    try:
        for subject in chosen:
            key = subject.library, subject.name
            if key not in known and run:
                start = time.perf_counter()
                known[key] = examined(subject, fresh)
                print(f"{subject.library} {subject.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
                if kept is not None:
                    written = {"library": subject.library, "name": subject.name, **asdict(known[key])}
                    with kept.open("a") as file:
                        print(json.dumps(written, ensure_ascii=False), file=file)
            yield subject, known.get(key, NOT_RUN)
    finally:
        fresh.close()


def examined(subject: Subject, fresh: Fresh) -> Result:
    """A row; one that cannot even be begun says why in every column."""
    try:
        return examine(subject, fresh)
    except Exception as error:
        return Result(dict.fromkeys(aspects(), f"{NO} {first_line(error)}"))


def aspects() -> list[str]:
    """The columns that are checked one by one."""
    of_mechanisms = [f"{mechanism}: {aspect}" for mechanism in MECHANISMS for aspect in ASPECTS]
    return [*COLUMNS[:3], *of_mechanisms, *COLUMNS[-2:]]


def sign(result: Result, column: str) -> str:
    """The sign of a cell: of a mechanism, of its three aspects together."""
    cells = [result.cells.get(name, "")[:1] for name in aspects() if name.partition(":")[0] == column]
    return next((one for one in (NO, NONE, YES) if one in cells), "")


def lines(found: Sequence[tuple[Subject, Result]]) -> Iterable[str]:
    """The table in Markdown."""
    libraries = list(dict.fromkeys(subject.library for subject, _ in found))
    of = {name: [one for one in found if one[0].library == name] for name in libraries}
    yield INTRODUCTION
    yield "\n## Totals\n\nPercent of the models to which a column applies, and how many these are.\n"
    yield f"| column | {' | '.join(f'{name} ({number_run(of[name])} of {len(of[name])})' for name in libraries)} |"
    yield "|---" * (len(libraries) + 1) + "|"
    for column in aspects():
        yield f"| {column} | {' | '.join(total([one for _, one in of[name]], column) for name in libraries)} |"
    for library in libraries:
        yield f"\n## {library}\n"
        yield f"| model | {' | '.join(COLUMNS)} |"
        yield "|---" * (len(COLUMNS) + 1) + "|"
        for subject, result in of[library]:
            yield f"| {title(subject, result)} | {' | '.join(sign(result, column) for column in COLUMNS)} |"
        yield from reasons(of[library])
    packages = ("torch", *(PACKAGES[name] for name in libraries))
    yield f"\nVersions: {', '.join(f'{one} {version(one)}' for one in packages)}."


def number_run(found: Sequence[tuple[Subject, Result]]) -> int:
    """How many rows were made."""
    return sum(bool(result.cells) for _, result in found)


def title(subject: Subject, result: Result) -> str:
    """The first cell of a row: the family, its member, the images it saw, and what was changed."""
    name = subject.name if subject.model == subject.name else f"{subject.name} ({subject.model})"
    return ", ".join(filter(None, (f"{name}{f'.{subject.part}' * bool(subject.part)}", result.size, result.note)))


def total(results: Sequence[Result], column: str) -> str:
    """How many of the models to which a column applies have it."""
    signs = [result.cells.get(column, "")[:1] for result in results]
    number = signs.count(YES) + signs.count(NO)
    return f"{100 * signs.count(YES) / number:.1f} % of {number}" if number else NONE


def reasons(found: Sequence[tuple[Subject, Result]]) -> Iterator[str]:
    """What failed, and what of a library's own keeps a column from applying."""
    for subject, result in found:
        told: dict[str, list[str]] = {}
        for column in aspects():
            cell = result.cells.get(column, "")
            if cell.startswith(NO) or (cell.startswith(NONE) and "library's own" in cell):
                told.setdefault(cell[2:], []).append(column)
        for reason, columns in told.items():
            yield f"\n- {subject.name}, {_joined(columns)}: {reason[:300]}"


def _joined(columns: Sequence[str]) -> str:
    """Columns with the aspects of a mechanism together: `channel gate (equal, keys)`."""
    parts: dict[str, list[str]] = {}
    for column in columns:
        name, _, aspect = column.partition(": ")
        parts.setdefault(name, []).extend([aspect] if aspect else [])
    whole: Mapping[str, Any] = {name: sorted(some) == sorted(ASPECTS) or not some for name, some in parts.items()}
    return ", ".join(name if whole[name] else f"{name} ({', '.join(some)})" for name, some in parts.items())


def main() -> None:
    """Examine the models and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts.reach")
    parser.add_argument("--only", choices=PACKAGES, help="models of one library")
    parser.add_argument("--family", help="one row")
    parser.add_argument("--rows", type=Path, help="a file that keeps rows: those that it has are not made again")
    parser.add_argument("--kept", action="store_true", help="only rows of that file have cells; nothing is run")
    options = parser.parse_args()
    chosen = [one for one in subjects() if options.only in (None, one.library)]
    chosen = [one for one in chosen if options.family in (None, one.name)]
    if not chosen:
        parser.error(f"there is no `{options.family}`")
    print("\n".join(lines(list(rows(chosen, options.rows, run=not options.kept)))))


if __name__ == "__main__":
    main()
