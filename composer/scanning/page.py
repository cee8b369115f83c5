"""The files of a scan that trained: a page, the places as CSV, and all of it as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from composer import __version__
from composer.comparing import forest, scatter
from composer.comparing.forest import Line
from composer.comparing.report import figure, prose, section
from composer.comparing.statistics import LEVEL, Interval
from composer.comparing.write import table_text, write_texts
from composer.html import STYLE, document, table, words
from composer.scanning.table import STEP_HEADS, STEP_RIGHT, gained_cells, gained_heads, gained_right, step_cells
from composer.scanning.trained import TrainedScan

_LINK = '<p><a href="confirm/report.html">The report of the fresh seeds</a></p>'
PAGE, ROWS, ALL = "scan.html", "scan.csv", "scan.json"


def write_scan(found: TrainedScan, folder: Path) -> list[Path]:
    """Write scan.html, scan.csv and scan.json, all or none; replaces what an earlier run wrote.

    Raises InputError for a folder that cannot be written.
    """
    texts = {
        ROWS: f"{table_text(found.rows())}\n",
        ALL: f"{json.dumps(found.to_json(), indent=1, ensure_ascii=False)}\n",
        PAGE: _page(found),
    }
    return write_texts(folder, texts, force=True)


def _page(found: TrainedScan) -> str:
    body = "\n".join(
        [
            f"<main><h1>{words(found.question.name)}</h1>",
            f"<ul>{''.join(f'<li>{prose(one)}</li>' for one in found.sentences())}</ul>",
            *([] if found.results is None else [_LINK]),
            _singles(found),
            _steps(found),
            f"<p><small>composer {words(__version__)}</small></p>",
            "</main>",
        ]
    )
    return document(found.question.name, body, styles=[STYLE, scatter.STYLE, forest.STYLE])


def _singles(found: TrainedScan) -> str:
    text = (
        "The network with the mechanism at that place alone. A gain is the mean, over seeds, of its score on the "
        "validation images less that of the plain network of the same seed, in points, hundredths of the images; ± its "
        "standard error over seeds, which few seeds know badly. No test image was read. These numbers choose, and show "
        "nothing: the best of several is good by chance too."
    )
    rows = table(gained_heads(found), gained_cells(found), gained_right(found), "Places by gain for their cost", "wide")
    return section("Each place by itself", f"<p>{words(text)}</p>", _dots(found), rows)


def _dots(found: TrainedScan) -> str:
    """Every pair of trainings as a dot."""
    lines = []
    for number, one in enumerate(found.single, 1):
        runs = [100 * value for value in one.gain.differences]
        # Two or three seeds make an interval that says nothing; the dots are all of them.
        middle = Interval(one.gain.mean, None, None, LEVEL, len(runs)) if runs else None
        lines.append(Line(number, one.site.path, runs, middle, None))
    caption = "Every pair of trainings (open dots) and their mean (disc), by rank. Numbers are those of the table."
    return figure(forest.forest(lines, "gain by validation, in points"), caption)


def _steps(found: TrainedScan) -> str:
    if len(found.steps) < 2:
        return ""
    text = "The best place, then the next best beside it, trained anew together, while the gain grows."
    return section(
        "Together", f"<p>{words(text)}</p>", table(STEP_HEADS, step_cells(found), STEP_RIGHT, "Places together", "wide")
    )
