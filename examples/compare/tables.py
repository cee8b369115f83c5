"""Keeps the results of comparisons, and makes the tables of README.md from them.

python examples/compare/tables.py where scale digits fashion_mnist    # folders of comparisons; none: what is kept
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

from composer.comparing.statistics import paired

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results", HERE / "README.md"
KEPT = ("report.html", "comparisons.csv", "runs.csv", "results.json", "attention.csv", "attention.png")
TABLE = re.compile(r"(<!-- (\w+) of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Row = Mapping[str, str]


def read(name: str, file: str) -> list[dict[str, str]]:
    """The rows of a table of kept results."""
    with (RESULTS / name / file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


WORDS = ("measure", "network", "against", "verdict")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; columns of numbers are aligned to the right."""
    lines = [heads, ["---" if head in WORDS else "---:" for head in heads], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_interval(values: Sequence[float], digits: int) -> str:
    """The mean, and Student's 95 % interval over seeds."""
    found = paired(values)
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def attention(name: str) -> str:
    """What was measured of attention: of chance, before training and after, and of each seed after it."""
    rows = read(name, "attention.csv")
    words = ("chance", "plain", "untrained", "trained")
    of = {word: [row for row in rows if row["weights"] == word] for word in words}
    heads = [
        "measure",
        "chance",
        "without it",
        "untrained",
        "trained",
        *(f"seed {row['seed']}" for row in of["trained"]),
    ]
    cells = []
    for measure in list(rows[0])[2:]:
        (chance,) = (row[measure] for row in of["chance"])
        plain = [float(row[measure]) for row in of["plain"] if row[measure]]
        before, after = ([float(row[measure]) for row in of[word]] for word in ("untrained", "trained"))
        cells.append(
            [
                measure,
                f"{float(chance):.2f}" if chance else "",
                f"{mean(plain):.2f}" if plain else "",
                with_interval(before, 2),
                with_interval(after, 2),
                *(f"{one:.2f}" for one in after),
            ]
        )
    return table(heads, cells)


def comparisons(name: str) -> str:
    """The declared comparisons of a comparison, in points."""
    heads = ["network", "against", "its score", "the other's", "difference, 95 % interval over seeds", "p", "verdict"]
    cells = []
    for row in read(name, "comparisons.csv"):
        difference, low, high = (f"{100 * float(row[key]):+.2f}" for key in ("difference", "low", "high"))
        scores = [f"{100 * float(row[key]):.2f} %" for key in ("score", "score_against")]
        p = f"{float(row['p_corrected']):.3f}"
        cells.append(
            [_label(row, "variant"), row["against"], *scores, f"{difference} ({low} to {high})", p, row["verdict"]]
        )
    return table(heads, cells)


def seeds(name: str) -> str:
    """The score of every run."""
    rows = read(name, "runs.csv")
    numbers = list(dict.fromkeys(row["seed"] for row in rows))
    networks: dict[str, dict[str, str]] = {}
    for row in rows:
        networks.setdefault(_label(row, "variant"), {})[row["seed"]] = row["score"]
    heads = ["network", "mean", *(f"seed {number}" for number in numbers)]
    cells = []
    for network, scores in networks.items():
        done = [100 * float(scores[number]) for number in numbers if scores[number]]
        shown = [f"{100 * float(scores[number]):.2f}" if scores[number] else "failed" for number in numbers]
        cells.append([network, f"{mean(done):.2f}", *shown])
    return table(heads, cells)


def _label(row: Row, key: str) -> str:
    return f"{Path(row['backbone']).stem}: {row[key]}"


KINDS = {"attention": attention, "comparisons": comparisons, "seeds": seeds}


def filled(text: str) -> str:
    """A page with its tables made anew, each between `<!-- KIND of NAME -->` and `<!-- end -->`."""
    return TABLE.sub(lambda found: f"{found[1]}\n{KINDS[found[2]](found[3])}\n{found[4]}", text)


def kept(folder: Path) -> Iterator[Path]:
    """The files of a comparison that are kept."""
    return (folder / name for name in KEPT if (folder / name).exists())


def main(folders: Sequence[str]) -> None:
    """Keep results, and fill the page."""
    for folder in map(Path, folders):
        target = RESULTS / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for path in kept(folder):
            shutil.copyfile(path, target / path.name)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
