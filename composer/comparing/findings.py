"""The part of the report that says what the runs of a comparison show."""

from __future__ import annotations

from statistics import mean

from composer.amounts import duration, plural, three_figures
from composer.comparing.forest import Line, forest
from composer.comparing.report import figure, full, prose, section
from composer.comparing.results import Results
from composer.comparing.scatter import Axis, Point, scatter
from composer.comparing.statistics import Interval, fewest_pairs
from composer.html import table
from composer.spec.dump import flow
from composer.spec.training import settle_training

SCORE_HEADS = ("network", "runs", "test score", "lowest", "highest")
SCORE_RIGHT = SCORE_HEADS[1:]
VERDICT_HEADS = ("#", "comparison", "pairs", "difference", "these images", "new images", "p", "verdict")
VERDICT_RIGHT = ("#", "pairs", "difference", "p")


def findings(results: Results) -> list[str]:
    """The sections of the report, as markup: verdicts, every run, how they were made."""
    return [_verdicts(results), _accuracy(results), _runs(results), _how(results)]


def score_cells(results: Results) -> list[list[str]]:
    """The cells of a table of the networks that were trained, in the columns of SCORE_HEADS: means over seeds."""
    rows = []
    for row in results.plan.running:
        scores = [100 * one.score for one in results.done(*row.arm.key)]
        ends = [f"{value:.2f} %" for value in (mean(scores), min(scores), max(scores))] if scores else ["", "", ""]
        rows.append([results.plan.label(*row.arm.key), str(len(scores)), *ends])
    return rows


def verdict_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """The columns and cells of a table of the declared comparisons, without columns that would be empty."""
    cells = verdict_cells(results)
    filled = [index for index in range(len(VERDICT_HEADS)) if any(row[index] for row in cells)]
    return [VERDICT_HEADS[index] for index in filled], [[row[index] for index in filled] for row in cells]


def verdict_cells(results: Results) -> list[list[str]]:
    """The cells of a table of the declared comparisons, in the columns of VERDICT_HEADS; differences in points."""
    rows = []
    for number, (pair, one) in enumerate(results.verdicts, 1):
        seeds, images = one.seeds, one.images
        found = "" if seeds is None else _points(seeds.mean)
        p = "" if one.corrected is None else f"{one.corrected:.3g}"
        ends = [_ends(each) for each in (seeds, images)]
        rows.append([str(number), results.name(pair), str(one.pairs), found, *ends, p, one.word])
    return rows


def _verdicts(results: Results) -> str:
    number = len(results.plan.declared)
    text = (
        "Differences are in points, hundredths of the test images: the variant less the network beside it, of the same "
        "seed. `these images` is Student's 95 % interval over seeds, for the same test split; `new images` that of a "
        "bootstrap, which draws seeds and images 10,000 times. p is that of the exact test by signs, corrected by "
        f"Holm's method for {plural(number, 'declared comparison')}; any takes {fewest_pairs(number)} pairs. "
        "`not shown` does not say that there is no difference: below is how large one could have gone unseen."
    )
    lines = []
    for index, (pair, one) in enumerate(results.verdicts, 1):
        both = results.paired(pair)
        runs = [100 * (own.score - other.score) for own, other in both]
        lines.append(Line(index, results.name(pair), runs, one.seeds, one.images))
    caption = (
        "Every pair of runs (open dots, above), their mean (disc) with the interval over seeds (thick), and the "
        "interval for new images (thin, below). Numbers are those of the table."
    )
    sentences = [
        [str(index), "; ".join(filter(None, [f"{results.name(pair)}: {one}", one.for_new_images]))]
        for index, (pair, one) in enumerate(results.verdicts, 1)
    ]
    return section(
        "What the runs show",
        *(f"<p>{prose(full(one))}</p>" for one in results.sentences()),
        f"<p>{prose(text)}</p>",
        figure(forest(lines, "difference in points"), caption),
        table(*verdict_table(results), VERDICT_RIGHT, "Declared comparisons", "wide"),
        "<h3>In words</h3>",
        table(("#", "verdict"), sentences, ("#",), "Verdicts in words", "words"),
    )


def _accuracy(results: Results) -> str:
    plan = results.plan
    plots = []
    for cost, word in (("parameters", "parameters"), ("macs", "MACs")):
        points = []
        for number, row in enumerate(plan.rows, 1):
            done = results.done(*row.arm.key) if row in plan.running else []
            value = getattr(row, cost)
            if done and value is not None:
                scores = [100 * one.score for one in done]
                label = plan.label(*row.arm.key)
                points.append(Point(number, label, row.arm.kind, value, mean(scores), min(scores), max(scores)))
        x, y = (
            Axis(word, lambda one: three_figures(round(one))),
            Axis("test score in percent", lambda one: f"{one:.4g}"),
        )
        plots.append(
            figure(
                scatter(points, x, y, upward=True),
                f"The mean test score over seeds, and its range, by {word}: squares are plain networks, discs "
                "variants, diamonds plain networks that cost as much. The dashed line joins the variants that no other "
                "variant beats in both. Numbers are those of the table of costs.",
            )
        )
    means = table(SCORE_HEADS, score_cells(results), SCORE_RIGHT, "Test scores, means over seeds", "wide")
    return section("Scores and costs", means, *plots)


def _runs(results: Results) -> str:
    heads = ("network", "seed", "test score", "best epoch", "validation", "time", "what failed")
    rows = []
    for one in results.runs():
        failed = one["error"] + (f" (tried {one['attempts']} times)" if one["attempts"] > 1 else "")
        rows.append(
            [
                results.plan.label(one["backbone"], one["variant"]),
                str(one["seed"]),
                "" if one["score"] is None else f"{100 * one['score']:.2f} %",
                _of(one["best_epoch"], one["epochs"]),
                "" if one["validation"] is None else f"{100 * one['validation']:.2f} %",
                "" if one["seconds"] is None else duration(one["seconds"]),
                failed if one["status"] == "failed" else "",
            ]
        )
    right = ("seed", "test score", "best epoch", "validation", "time")
    text = (
        "All of them, in the order in which they ran. The epoch was chosen by validation; the test split was read "
        "once, with that epoch's weights."
    )
    return section("Every run", f"<p>{text}</p>", table(heads, rows, right, "Every run", "wide"))


def _how(results: Results) -> str:
    plan = results.plan
    recipes = {
        plan.label(*row.arm.key): flow(settle_training(row.spec.files).recipe.to_mapping()) for row in plan.running
    }
    if plan.tuning:
        texts = [
            *map(full, plan.tuning),
            *(f"`{name}` was trained by `{recipe}`." for name, recipe in recipes.items()),
            "All trainings of this comparison have seeds that the search did not have, and their full length.",
        ]
    else:
        texts = [
            f"All networks were trained alike, by `{next(iter(recipes.values()))}`, each to its full length. Nothing "
            "was searched or tuned here; what was tuned before, this report does not know."
        ]
    return section(
        "How they were trained",
        *(f"<p>{prose(text)}</p>" for text in texts),
        "<p>Runs of one seed share the data's order and how each image is altered, and all first weights that both "
        "networks have; a wider network has others.</p>",
    )


def _points(value: float) -> str:
    return f"{round(100 * value, 2) + 0.0:+.2f}"


def _ends(found: Interval | None) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{_points(found.low)} to {_points(found.high)}"


def _of(epoch: int | None, epochs: int) -> str:
    return "" if epoch is None else f"{epoch} of {epochs}"
