"""A scan that trains: short paired runs choose places, and fresh seeds report what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from composer.amounts import plural
from composer.comparing.results import Results
from composer.errors import Diagnostic, InputError
from composer.scanning.gains import UNITS, Gain, Gained
from composer.scanning.places import NAMES, Ground, Site, amount
from composer.scanning.question import Question
from composer.scanning.scan import added
from composer.scanning.selection import Step
from composer.spec.dump import flow

# Seven pairs can show a difference from both the plain network and its control.
SEEDS, FRESH, MOST = 2, 7, 3


@dataclass(frozen=True)
class Trainings:
    """Which trainings a scan makes.

    seeds   how many choose, or which
    fresh   how many report what was chosen, counted from behind those, or which
    places  so many single places are trained, evenly spread; None for all
    most    so many places go together at most
    epochs  of the trainings that choose; None for the recipe's own length
    """

    seeds: int | Sequence[int] = SEEDS
    fresh: int | Sequence[int] = FRESH
    places: int | None = None
    most: int = MOST
    epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("seeds", "fresh", "places", "most", "epochs"):
            value = getattr(self, name)
            if isinstance(value, Sequence) and not value:
                raise InputError(Diagnostic("scan", f"`{name}` names no seed", label="at least one"))
            if isinstance(value, int) and value < 1:
                raise InputError(Diagnostic("scan", f"`{name}` is {value}", label="a whole number from 1 on"))
        both = sorted({*self.choosing} & {*self.reporting})
        if both:
            text = f"the seed {both[0]} chooses places and reports what was chosen"
            raise InputError(Diagnostic("scan", text, label="fresh seeds"))

    @property
    def choosing(self) -> list[int]:
        """The seeds of trainings that choose."""
        return [*range(self.seeds)] if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def reporting(self) -> list[int]:
        """The seeds of trainings that report."""
        first = max(self.choosing) + 1
        return [*range(first, first + self.fresh)] if isinstance(self.fresh, int) else list(self.fresh)

    def words(self, places: int) -> str:
        """How many trainings there will be at most, as a sentence."""
        singles = (places + 1) * len(self.choosing)
        together = max(0, min(self.most, places) - 1) * len(self.choosing)
        fresh = 3 * len(self.reporting)
        return (
            f"at most {plural(singles + together + fresh, 'training')}: {singles} of {plural(places, 'place')} and the "
            f"plain network, {together} of places together, {fresh} from fresh seeds, of what was chosen, the plain "
            "network and a plain one of the same cost"
        )


@dataclass(frozen=True)
class TrainedScan:
    """What a scan with data found.

    question   what was asked
    ground     the places
    cost       what gains are divided by
    trainings  which there were
    single     each place that was trained, the best for its cost first
    steps      places that were trained together; empty if no place gained
    results    of the fresh seeds; None if no place gained, or before they have run
    """

    question: Question
    ground: Ground
    cost: str
    trainings: Trainings
    single: Sequence[Gained]
    steps: Sequence[Step]
    results: Results | None = None

    @cached_property
    def chosen(self) -> Step | None:
        """The places that were chosen; None if no place gained."""
        kept = [one for one in self.steps if one.kept]
        return kept[-1] if kept else None

    @property
    def rule(self) -> dict[str, Any]:
        """The rule at the chosen places, as a spec writes it; empty if no place gained."""
        return {} if self.chosen is None else dict(self.chosen.row.arm.rules[-1])

    @property
    def left(self) -> list[Site]:
        """The places that were not trained."""
        trained = [one.site for one in self.single]
        return [site for site in self.ground.sites if site not in trained]

    def why(self, site: Site) -> str:
        """Why a place was not trained, in a sentence."""
        return site.reason or f"not among the {plural(len(self.single), 'place')} that were trained"

    def choice(self) -> str:
        """Which places were chosen, as a sentence."""
        if self.chosen is None and not any(one.gain.differences for one in self.single):
            why = next((one.gain.failed for one in self.single if one.gain.failed), "")
            return f"no place was trained beside the plain network ({why}), so nothing was chosen; --retry tries again"
        if self.chosen is None:
            return "no place gained by validation, so nothing was chosen and nothing was run on fresh seeds"
        paths = ", ".join(site.path for site in self.chosen.sites)
        more = f"{amount(self.ground, self.chosen.row, self.cost)} {NAMES[self.cost]}"
        return f"chosen: {paths}, {points(self.chosen.gain)} points by validation, {more}"

    def sentences(self) -> list[str]:
        """How places were chosen, and what fresh seeds show of them."""
        seeds = plural(len(self.trainings.choosing), "seed")
        found = [f"{self.question.name}: {plural(len(self.single), 'place')} trained on {seeds}, judged by validation"]
        found += [self.choice(), *([] if self.chosen is None else [f"as a rule: {flow(self.rule)}"])]
        if self.results is not None:
            found.append(
                "gains that chose are the largest of several, so too large on average; what follows is of the test "
                f"split, over {plural(len(self.trainings.reporting), 'seed')} that chose nothing"
            )
            found += [f"{self.results.name(pair)}: {one}" for pair, one in self.results.verdicts]
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values: single places, places together, what fresh seeds show."""
        return {
            "network": self.question.source,
            "rule": self.question.rule.plain(),
            "cost": self.cost,
            "seeds": self.trainings.choosing,
            "fresh": self.trainings.reporting,
            "rows": self.rows(),
            "together": [self._step(one) for one in self.steps],
            "chosen": None
            if self.chosen is None
            else {"places": [site.path for site in self.chosen.sites], "rule": self.rule},
            "confirmed": None if self.results is None else self.results.to_json(),
            "notes": self.sentences(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for each place as plain values: those that were trained by rank, then the others."""
        rows = [self._row(one.site, one, one.gain.failed) for one in self.single]
        return [*rows, *(self._row(site, None, self.why(site)) for site in self.left)]

    def _row(self, site: Site, one: Gained | None, note: str) -> dict[str, Any]:
        return {
            "place": site.path,
            "stage": site.place.stage,
            "block": site.place.block,
            **_gain(None if one is None else one.gain),
            f"gain_per_{UNITS[self.cost][1].replace(' ', '_')}": None if one is None else one.per(self.cost),
            **added(self.ground, site.row),
            "note": note,
        }

    def _step(self, one: Step) -> dict[str, Any]:
        return {
            "places": [site.path for site in one.sites],
            **_gain(one.gain),
            **added(self.ground, one.row),
            "kept": one.kept,
        }


def points(gain: Gain) -> str:
    """A mean gain in points, hundredths of the images, with its standard error; empty without pairs."""
    if not gain.differences:
        return ""
    error = "" if gain.error is None else f" ± {100 * gain.error:.2f}"
    return f"{100 * gain.mean + 0.0:+.2f}{error}"


def _gain(gain: Gain | None) -> dict[str, Any]:
    known = gain is not None and bool(gain.differences)
    return {
        "gain": gain.mean if gain is not None and known else None,
        "standard_error": gain.error if gain is not None and known else None,
        "pairs": 0 if gain is None else len(gain.differences),
    }
