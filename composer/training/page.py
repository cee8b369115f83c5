"""The page of a run: curves while it trains; at its end the test, what was confused, and the worst mistakes."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.amounts import duration, millions, plural
from composer.files import staged
from composer.looking.canvas import COLOURS, GREY, TINY, figure, label, panels, picture, png, rows_of, styled
from composer.looking.page import page
from composer.looking.plates import Plate, Section, Table
from composer.training.data.data import as_pillow
from composer.training.run import IMAGES, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from composer.training.data import Data

PAGE, LOOK = "run.html", "look.html"
# The worst mistakes that are shown, and how many in a row.
MISTAKES, ACROSS = 12, 6
# More classes than this make a matrix in which nothing can be seen.
MOST_CLASSES = 100
# A page of a run that trains reads itself again, in milliseconds, until it is at its end.
LIVE = "setTimeout(() => { if (document.visibilityState === 'visible') location.reload() }, 5000)"


def write_page(run: Run, data: Data | None = None) -> None:
    """Write run.html, and its figures beside it: what is known of a run. Raises InputError if the disk is full.

    run   the folder
    data  for the pictures of the worst mistakes, once it was tested
    """
    record, rows = run.record, run.history
    live = record["state"] != "done"
    sections = [_curves(rows, record)] if rows else []
    if not live:
        sections += list(_tested(run, record, data))
    with styled():
        images = {plate.name: png(plate.draw()) for section in sections for plate in section.plates}
    names = [PAGE, *(f"{name}.png" for name in images)]
    text = page(f"Training of {record['network']}", _lead(run, record, rows), sections, images, [LIVE] if live else [])
    with staged([run.folder / name for name in names], force=True) as (page_file, *files):
        page_file.write_text(text, encoding="utf-8")
        for file, image in zip(files, images.values(), strict=True):
            file.write_bytes(image)


def _lead(run: Run, record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    data = record["data"]
    split = ", ".join(f"{data[name]:,} {name}" for name in ("training", "validation", "test"))
    found = [
        f"`{record['network']}`, {record['parameters']:,} parameters, {millions(record['macs'])} multiply-accumulates, "
        f"on `{data['source']}`: {split}.",
    ]
    if record["state"] != "done":
        found.append(f"It trains: {plural(len(rows), 'epoch')} so far. This page reads itself again every 5 seconds.")
        return found
    test, best = record["test"], record["best"]
    between = (
        "" if test["interval"] is None else f", 95 % interval {test['interval'][0]:.4f} to {test['interval'][1]:.4f}"
    )
    seconds = sum(row["seconds"] for row in rows)
    found.append(
        f"Epoch {best['epoch']} of {len(rows)} is the best by validation ({test['metric']} {best['metric']:.4f}). "
        f"Its test, read once: {test['metric']} {test['value']:.4f}{between}, over {plural(test['of'], 'image')}."
    )
    if (run.folder / LOOK).exists():
        found.append(f"What attention does on a few images, before and after: `{LOOK}`, beside this page.")
    found.append(f"{duration(seconds)} of training. `composer run {run.network} --weights {run} --image PATH`")
    return found


def _curves(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> Section:
    heads = tuple(rows[0])
    shown = tuple(tuple(_short(row[head]) for head in heads) for row in rows)
    metric = record["metric"]
    last = rows[-1]
    plate = Plate(
        "curves",
        "Loss and validation",
        f"Left, the mean loss of each epoch; right, {metric} of the validation split. The dot is the best epoch.",
        f"After epoch {last['epoch']} the validation loss is {_short(last['validation_loss'])} and "
        f"{metric} {_short(last['metric'])}.",
        lambda: _draw_curves(rows, metric, ascends=record["task"] != "values"),
    )
    text = "Training losses are of images as they were altered, so that they may lie above those of validation."
    return Section("Curves", text, [plate], Table(heads, shown, heads))


def _short(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.4g}"


def _draw_curves(rows: Sequence[Mapping[str, Any]], metric: str, *, ascends: bool) -> Figure:
    from matplotlib.ticker import MaxNLocator

    made, ((left, right),) = panels(1, 2, aspect=0.62, gap=(0.45, 0.3), left=0.4, bottom=0.4, widest=3.0)
    epochs = [int(row["epoch"]) for row in rows]
    column = {name: [float(row[name]) for row in rows] for name in ("training_loss", "validation_loss", "metric")}
    mark = "o" if len(rows) == 1 else ""
    for name, colour in (("training_loss", COLOURS[0]), ("validation_loss", COLOURS[5])):
        left.plot(epochs, column[name], color=colour, lw=1.1, marker=mark, ms=3, label=name.replace("_loss", ""))
    left.legend()
    right.plot(epochs, column["metric"], color=COLOURS[5], lw=1.1)
    best = int(np.nanargmax(column["metric"]) if ascends else np.nanargmin(column["metric"]))
    right.plot(epochs[best], column["metric"][best], "o", color=COLOURS[5], ms=4)
    for axes, name in ((left, "loss"), (right, metric)):
        axes.set_xlabel("epoch")
        axes.set_title(name, loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color=GREY, alpha=0.2, lw=0.5)
    return made


def _tested(run: Run, record: Mapping[str, Any], data: Data | None) -> Iterator[Section]:
    rows = list(csv.DictReader(io.StringIO((run.folder / IMAGES).read_text(encoding="utf-8"))))
    if record["task"] != "classes":
        return
    classes = record["classes"]
    pairs = Counter((int(row["target"]), int(row["prediction"])) for row in rows)
    yield _confusion(pairs, classes)
    wrong = sorted(
        (index for index, row in enumerate(rows) if row["correct"] == "0"),
        key=lambda index: float(rows[index]["loss"]),
        reverse=True,
    )[:MISTAKES]
    if wrong and data is not None:
        yield _mistakes(wrong, rows, classes, data)


def _confusion(pairs: Counter[tuple[int, int]], classes: Sequence[str]) -> Section:
    off = [(count, target, guess) for (target, guess), count in pairs.items() if target != guess]
    totals = Counter[int]()
    for (target, _), count in pairs.items():
        totals[target] += count
    most = sorted(off, key=lambda one: (-one[0], one[1:]))[:10]
    rows = tuple(
        (classes[target], classes[guess], str(count), f"{100 * count / totals[target]:.1f} %")
        for count, target, guess in most
    )
    table = Table(("is", "taken for", "images", "of its class"), rows, ("images", "of its class")) if rows else None
    right = sum(count for (target, guess), count in pairs.items() if target == guess)
    text = f"{right} of {sum(pairs.values())} images of the test split are right."
    if len(classes) > MOST_CLASSES:
        return Section("What is confused", f"{text} {len(classes)} classes are too many for a matrix.", [], table)
    plate = Plate(
        "confusion",
        "Targets and predictions",
        "A row for each class, a column for each prediction; each row's shares add up to 1.",
        f"{right} of {sum(pairs.values())} lie on the diagonal.",
        lambda: _draw_confusion(pairs, classes),
    )
    return Section("What is confused", text, [plate], table)


def _draw_confusion(pairs: Counter[tuple[int, int]], classes: Sequence[str]) -> Figure:
    count = len(classes)
    matrix = np.zeros((count, count))
    for (target, guess), number in pairs.items():
        matrix[target, guess] = number
    matrix /= np.maximum(matrix.sum(1, keepdims=True), 1)
    made = figure(4.2, 4.6)
    axes = made.add_axes((0.24, 0.2, 0.7, 0.76))
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    names = [label(name, 14) for name in classes]
    size = max(3.0, min(TINY, 150 / count))
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("prediction")
    axes.set_ylabel("target")
    if count <= 20:
        for row in range(count):
            for column in range(count):
                if matrix[row, column] > 0.005:
                    ink = "white" if matrix[row, column] > 0.5 else "black"
                    text = f"{matrix[row, column]:.2f}".removeprefix("0")
                    axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=4.5)
    return made


def _mistakes(wrong: Sequence[int], rows: Sequence[Mapping[str, Any]], classes: Sequence[str], data: Data) -> Section:
    table = Table(
        ("image", "is", "taken for", "probability"),
        tuple(
            (
                rows[index]["name"],
                classes[int(rows[index]["target"])],
                classes[int(rows[index]["prediction"])],
                f"{float(rows[index]['probability']):.3f}",
            )
            for index in wrong
        ),
        ("probability",),
    )
    plate = Plate(
        "mistakes",
        "The largest losses",
        "Above each image, what it is and what it was taken for.",
        f"{len(wrong)} images that were taken for another class.",
        lambda: _draw_mistakes(wrong, rows, classes, data),
    )
    text = "The images of the test split with the largest loss. Some of them may be labelled wrongly."
    return Section("Worst mistakes", text, [plate], table)


def _draw_mistakes(
    wrong: Sequence[int], rows: Sequence[Mapping[str, Any]], classes: Sequence[str], data: Data
) -> Figure:
    made, grid = panels(rows_of(wrong, ACROSS), ACROSS, widest=1.1, gap=(0.08, 0.25))
    places = [place for line in grid for place in line]
    for place, index in zip(places, wrong, strict=False):
        row = rows[index]
        target, guess = (classes[int(row[name])] for name in ("target", "prediction"))
        image = as_pillow(data.test.image(index), 1 if data.channels == 1 else 3)
        options = {"cmap": "gray"} if data.channels == 1 else {}
        picture(place, np.asarray(image), f"{label(target, 10)} → {label(guess, 10)}", **options)
    for place in places[len(wrong) :]:
        place.set_axis_off()
    return made
