"""A comparison before the first run: who is compared with whom, what each costs, what so many seeds can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from composer.amounts import plural
from composer.benchmark import Settings, benchmark
from composer.comparing.arms import arms_of
from composer.comparing.control import Controls, Pair
from composer.comparing.costs import Composer, Row
from composer.comparing.file import PLAIN, ComparisonFile
from composer.comparing.statistics import fewest_pairs
from composer.errors import SpecError
from composer.network import Graph
from composer.spec.spec import Spec

if TYPE_CHECKING:
    from composer.benchmark.report import Row as Measured

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """A comparison before the first run.

    file      what was asked for
    rows      every network: each backbone plain, with each variant, and its controls
    pairs     every comparison that is declared, and why some have no control
    measured  (backbone, variant) -> its latency; empty if it was not measured
    settings  how latency was measured
    tuning    what was searched before, and with what effort, in sentences; then each network has a recipe of its own
    """

    file: ComparisonFile
    rows: Sequence[Row]
    pairs: Sequence[Pair]
    measured: Mapping[tuple[str, str], Measured] = field(default_factory=dict)
    settings: Settings | None = None
    tuning: Sequence[str] = ()

    @property
    def declared(self) -> list[Pair]:
        """The comparisons whose two networks can both be trained."""
        runs = {row.arm.key for row in self.rows if row.runs}
        return [
            one
            for one in self.pairs
            if one.against and {(one.backbone, one.variant), (one.backbone, one.against)} <= runs
        ]

    @property
    def running(self) -> list[Row]:
        """The networks that are trained: those of a declared comparison."""
        keys = {(one.backbone, name) for one in self.declared for name in (one.variant, one.against)}
        return [row for row in self.rows if row.arm.key in keys]

    @property
    def unmade(self) -> tuple[str, ...]:
        """Why variants are not trained, a sentence each."""
        return tuple(f"`{row.arm.variant}`: {row.reason or '; '.join(row.over)}" for row in self.rows if not row.runs)

    def plain_of(self, row: Row) -> Row:
        """The plain network of the same backbone."""
        return next(one for one in self.rows if one.arm.key == (row.arm.backbone, PLAIN))

    @property
    def several(self) -> bool:
        """Whether there is more than one backbone."""
        return len(self.file.content.networks) > 1

    def label(self, backbone: str, variant: str) -> str:
        """A network's name in tables."""
        return f"{self.short_names[backbone]}: {variant}" if self.several else variant

    @property
    def short_names(self) -> Mapping[str, str]:
        """Each backbone as the file has it -> the same without the folder and ending of a file, if that is clear."""
        names = self.file.content.networks
        short = [PurePath(one).stem if one.endswith((".yaml", ".yml")) else one for one in names]
        return dict(zip(names, short if len({*short}) == len(names) else names, strict=True))

    def sentences(self) -> list[str]:
        """What was counted, and what so many seeds can show."""
        out, dear = [row for row in self.rows if row.graph is None], [row for row in self.rows if row.over]
        words = [plural(len(self.rows), "network")]
        words += [f"{len(out)} cannot be composed"] if out else []
        words += [f"{len(dear)} over the budget"] if dear else []
        found = [", ".join(words)]
        number, pairs = len(self.declared), len(self.file.content.seed_numbers)
        if number:
            runs = len(self.running) * pairs
            found.append(
                f"{plural(number, 'comparison')} declared; {plural(pairs, 'seed')} each: {plural(runs, 'run')}"
            )
        if number and pairs < (least := fewest_pairs(number)):
            of = f" after the correction for {number} comparisons" if number > 1 else ""
            found.append(f"{plural(pairs, 'seed')} cannot show any difference{of}: it takes {least}")
        return found

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values: the declared comparisons, and a row for each network."""
        return {
            "name": self.file.name,
            "seeds": self.file.content.seed_numbers,
            "rows": [self.values(row) for row in self.rows],
            "comparisons": [vars(one) for one in self.pairs],
            "declared": len(self.declared),
            "latency": None if self.settings is None else self.settings.to_json(),
            "notes": self.sentences(),
            "tuning": list(self.tuning),
        }

    def values(self, row: Row) -> dict[str, Any]:
        """A row as plain JSON values."""
        plain, measured = self.plain_of(row), self.measured.get(row.arm.key)
        ratio = measured and measured.ratio
        return {
            "backbone": row.arm.backbone,
            "variant": row.arm.variant,
            "kind": row.arm.kind,
            "parameters": row.parameters,
            "parameters_percent": _percent(row.parameters, plain.parameters),
            "macs": row.macs,
            "macs_percent": _percent(row.macs, plain.macs),
            "memory": row.memory,
            "memory_percent": _percent(row.memory, plain.memory),
            "latency": measured and measured.latency,
            "latency_ratio": None if ratio is None else vars(ratio),
            "places_asked": row.asked,
            "places_fitted": row.fitted,
            "values": dict(row.arm.values),
            "rules": row.arm.rules,
            "over_budget": list(row.over),
            "reason": row.reason,
        }


def make_plan(
    file: ComparisonFile,
    *,
    root: str | Path | None = None,
    allow_code: bool = False,
    latency: Settings | None = None,
    fit: Callable[[Spec], Graph] | None = None,
    tell: Tell = lambda text: None,
) -> Plan:
    """The plan of a comparison; nothing is trained.

    file        what is compared
    root        the folder that references may not leave; by default the file's own
    allow_code  let a backbone `package.module:factory` run its code
    latency     how forward passes are timed, in turn for each backbone; None not to
    fit         makes the network of a spec, where it is another than the spec's own: that for some data
    tell        told what is being done
    Raises SpecError and GraphError with the mistakes of the file; InputError for a network that cannot be fitted.
    """
    if file.content.train is not None:
        _check_training(file)
    composer = Composer(file.path, root, allow_code=allow_code, fit=fit)
    arms = arms_of(file)
    rows: list[Row] = []
    for row in composer.rows(arms, file.content.budget):
        tell(f"{len(rows) + 1} of {len(arms)}: {row.arm.backbone} {row.arm.variant}")
        rows.append(row)
    rows, pairs = _with_controls(file, composer, rows, tell)
    plan = Plan(file, rows, pairs)
    if latency is None:
        return plan
    return Plan(file, rows, pairs, _measured(plan, latency, tell), latency)


def _with_controls(
    file: ComparisonFile, composer: Composer, rows: Sequence[Row], tell: Tell
) -> tuple[list[Row], list[Pair]]:
    """The rows with those of controls, each behind those of its backbone, and all pairs."""
    controls = Controls(composer, file.content.control, file.origin / "control")
    plains = {row.arm.backbone: row for row in rows if row.arm.kind == "plain"}
    controls.check(plains.values())
    found: list[Row] = []
    pairs: list[Pair] = []
    for backbone, plain in plains.items():
        own = [row for row in rows if row.arm.backbone == backbone]
        beside: dict[str, Row] = {}
        for row in own:
            if row.arm.kind == "plain" or not row.runs:
                continue
            pairs.append(Pair(backbone, row.arm.variant, PLAIN, PLAIN))
            tell(f"plain networks that cost as much as {row.arm.variant}")
            for pair, control in controls.of(row, plain):
                pairs.append(pair)
                if control is not None:
                    beside.setdefault(control.arm.variant, control)
        found += [*own, *beside.values()]
    return found, pairs


def _measured(plan: Plan, settings: Settings, tell: Tell) -> dict[tuple[str, str], Measured]:
    found: dict[tuple[str, str], Measured] = {}
    for backbone in plan.file.content.networks:
        graphs = {row.arm.variant: row.graph for row in plan.rows if row.arm.backbone == backbone and row.graph}
        done = benchmark(graphs, PLAIN, settings, passes=("forward",), memory=False, tell=tell)
        found |= {(backbone, row.network): row for row in done.rows}
    return found


def _check_training(file: ComparisonFile) -> None:
    """Raises SpecError for a seed in the recipe: the comparison says which seeds there are."""
    train = file.content.train
    if isinstance(train, dict) and "seed" in train:
        origin = file.origin / "train" / "seed"
        text = "the seed of each run is one of the comparison's"
        raise SpecError(origin.problem("both", text, "remove it, and write `seeds`", key=True))


def _percent(value: int | None, plain: int | None) -> float | None:
    return 100 * (value / plain - 1) if value is not None and plain else None
