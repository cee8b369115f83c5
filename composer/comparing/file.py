"""The file of a comparison: which networks, which variants, what they may cost, and how they are trained."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from composer import given
from composer.errors import Diagnostic, SpecError
from composer.spec.document import Document, Keys
from composer.spec.kind import found
from composer.spec.misfits import misfits
from composer.spec.origin import Origin
from composer.spec.references import read_file
from composer.spec.settings import read_settings

PLAIN = "plain"
_FROZEN = ConfigDict(extra="forbid", strict=True, frozen=True)
_SHARE = re.compile(r"\+(\d+(?:\.\d+)?) ?%")
_NAME = re.compile(r"[^\s/\\][^/\\\n]{0,59}")


def _amount(value: Any) -> int | str:
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and _SHARE.fullmatch(value):
        return value
    raise PydanticCustomError(
        "amount", "a share more than the plain network's, such as `+5%`, or a whole number from 0 on"
    )


def _var(value: Any) -> bool | str:
    if isinstance(value, bool | str):
        return value
    raise PydanticCustomError("var", "true, or the name of a var")


Amount = Annotated[int | str, PlainValidator(_amount)]
Var = Annotated[bool | str, PlainValidator(_var)]
# More are a slip of the hand: each is a training of every network.
_MAX_SEEDS = 1000


class BudgetSpec(BaseModel):
    """What a variant may cost: a whole number, or so much more than the plain network, such as `+5%`.

    parameters  learnable numbers
    macs        multiply-accumulates for an example
    memory      bytes that an example keeps for a training step
    """

    model_config = _FROZEN

    parameters: Amount | None = None
    macs: Amount | None = None
    memory: Amount | None = None

    def most(self, name: str, plain: int | None) -> float | None:
        """The most of a cost, given the plain network's; None where there is no such limit or nothing is known."""
        amount = getattr(self, name)
        if not isinstance(amount, str):
            return amount
        match = _SHARE.fullmatch(amount)
        assert match is not None, "a checked share"
        return None if plain is None else plain * (1 + float(match[1]) / 100)


class ControlSpec(BaseModel):
    """Plain networks that cost as much as a variant.

    wider, deeper  the var of the backbone that makes it so; `true` finds it
    match          the cost that must be alike
    """

    model_config = _FROZEN

    wider: Var = False
    deeper: Var = False
    match: Literal["parameters", "macs"] = "parameters"

    @property
    def wanted(self) -> Mapping[Literal["wider", "deeper"], bool | str]:
        """What is asked for, with the var or True."""
        both: dict[Literal["wider", "deeper"], bool | str] = {"wider": self.wider, "deeper": self.deeper}
        return {kind: var for kind, var in both.items() if var}


def _number(value: Any) -> int | float:
    if type(value) in (int, float) and math.isfinite(value):
        return value
    raise PydanticCustomError("number", "a finite number")


Number = Annotated[int | float, PlainValidator(_number)]


class RangeSpec(BaseModel):
    """Numbers that a field of the recipe may have: whole ones if both ends are.

    from, to  the ends
    log       drawn alike in each power of ten
    """

    model_config = ConfigDict(**_FROZEN, populate_by_name=True)

    from_: Number = Field(alias="from")
    to: Number
    log: bool = False


class SearchSpec(BaseModel):
    """What `composer search` tries.

    trials  trainings that choose a variant and its recipe; as many choose the recipe of the plain network beside it
    ranges  a field of the recipe, such as `train.optimizer.lr` -> a range, or a list of values
    seed    of these trainings; none of the comparison's
    prune   whether trainings that do worse than others at the same epoch are ended
    least   epochs that each has; at `factor` times so many, and again and again, the best go on, one in `factor`
    """

    model_config = _FROZEN

    trials: Annotated[int, Field(gt=0, le=1000)]
    ranges: Annotated[dict[str, RangeSpec | Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)] | None = None
    prune: bool = True
    least: Annotated[int, Field(gt=0)] = 1
    factor: Annotated[int, Field(ge=2)] = 3


class ComparisonSpec(BaseModel):
    """A comparison.

    base, backbones  the network that is varied, or several: names of the zoo, paths, models of a library
    vars, input      as in a spec, for all of them
    variants         name -> a rule, or a list of rules that go together
    sweep            a rule, each of whose lists is an axis: all combinations are variants; or several such rules
    budget           what a variant may cost; one that costs more is shown and not trained
    control          plain networks of the same cost beside each variant
    seeds            how many, counted from 0; or which
    train            how all are trained, as in a spec
    search           what `composer search` tries, to choose a variant and a recipe
    """

    model_config = _FROZEN

    name: str | None = None
    description: str | None = None
    base: str | None = None
    backbones: Annotated[list[str], Field(min_length=1)] | None = None
    vars: dict[str, Any] = {}
    input: dict[str, Any] | list[Any] | None = None
    variants: dict[str, dict[str, Any] | list[dict[str, Any]]] = {}
    sweep: dict[str, Any] | list[dict[str, Any]] | None = None
    budget: BudgetSpec = BudgetSpec()
    control: ControlSpec = ControlSpec()
    seeds: (
        Annotated[int, Field(gt=0, le=_MAX_SEEDS)]
        | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=_MAX_SEEDS)]
    ) = 6
    train: str | dict[str, Any] | None = None
    search: SearchSpec | None = None

    @property
    def search_seed(self) -> int:
        """The seed of a search: one that the comparison does not have."""
        assert self.search is not None, "a search is asked for"
        return self.search.seed if self.search.seed is not None else max(self.seed_numbers) + 1

    @property
    def networks(self) -> list[str]:
        """The networks that are varied, of a valid comparison."""
        return [self.base] if self.base is not None else list(self.backbones or ())

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds one by one."""
        return [*range(self.seeds)] if isinstance(self.seeds, int) else list(self.seeds)


@dataclass(frozen=True)
class ComparisonFile:
    """The file of a comparison, read and checked but for its networks.

    content   what it says
    document  the text
    path      where it is; None for a mapping
    """

    content: ComparisonSpec
    document: Document
    path: Path | None

    @property
    def origin(self) -> Origin:
        """The whole text."""
        return Origin(self.document)

    @property
    def name(self) -> str:
        """The name that it gives itself, or that of the file."""
        return self.content.name or (self.path.stem if self.path else "comparison")


def read_comparison(source: str | Path | Mapping[str, Any], sets: Iterable[str] = ()) -> ComparisonFile:
    """The comparison of a file, or of a mapping. Raises SpecError with every mistake but those of its networks.

    source  a path or a mapping
    sets    `dotted.path=value` settings, applied before it is checked
    """
    if isinstance(source, Mapping):
        path, document = None, Document.from_mapping(source, "<comparison>")
    else:
        path = given.path("source", source)
        document = read_file(path)
    return check_comparison(_with_settings(document, sets), path)


def check_comparison(document: Document, path: Path | None) -> ComparisonFile:
    """The comparison of a text that is read. Raises SpecError with every mistake but those of its networks.

    document  the text
    path      where it is; None for one that is in no file
    """
    origin, plain = Origin(document), document.plain()
    if not isinstance(plain, dict):
        raise SpecError(origin.problem("structure", f"a comparison is a mapping, not {found(plain)}", "`key: value`"))
    try:
        content = ComparisonSpec.model_validate(plain)
    except ValidationError as error:
        SpecError.check(misfits(error, origin, _keys_at))
        raise AssertionError("a validation error has records") from error
    SpecError.check(_problems(content, origin))
    return ComparisonFile(content, document, path)


def _with_settings(document: Document, sets: Iterable[str]) -> Document:
    """The document with `--set`; vars are those of its networks, and set like all else."""
    for setting in read_settings({}, sets):
        document = Document(document.source, document.root.with_value(setting.steps, setting.value))
    return document


def _keys_at(path: Keys, here: Origin) -> Iterable[str]:
    if path[:2] == ("search", "ranges"):
        return ("from", "to", "log")
    models: Mapping[Keys, type[BaseModel]] = {
        ("budget",): BudgetSpec,
        ("control",): ControlSpec,
        ("search",): SearchSpec,
    }
    return models.get(path, ComparisonSpec).model_fields


def _problems(content: ComparisonSpec, origin: Origin) -> Iterator[Diagnostic]:
    if content.base is not None and content.backbones is not None:
        yield (origin / "backbones").problem("both", "a comparison has `base` or `backbones`, not both", key=True)
    if not content.networks:
        help = ("such as `base: resnet18`",)
        yield origin.problem("neither", "the comparison has neither `base` nor `backbones`", "one of the two", help)
    if not content.variants and not content.sweep:
        help = ("such as `variants: {se: {use: se, after: branch}}`",)
        label = "one of the two, or both"
        yield origin.problem("neither", "the comparison has neither `variants` nor a `sweep`", label, help)
    yield from _twice("backbones", content.backbones or [], origin)
    yield from _twice("seeds", content.seeds if isinstance(content.seeds, list) else [], origin)
    if content.search is not None:
        yield from _search_problems(content, content.search, origin / "search")
    for name, rules in content.variants.items():
        here = origin / "variants" / name
        if not _NAME.fullmatch(name):
            yield here.problem("name", f"`{name}` cannot name a variant", "up to 60 characters, no `/`", key=True)
        elif name == PLAIN:
            yield here.problem("name", f"`{PLAIN}` is the network without rules", "another name", key=True)
        if not rules:
            yield here.problem("empty", f"`{name}` has no rule", "a rule, or a list of rules", key=True)


# Fields of a recipe that a search leaves alone, and why.
_FIXED = {
    **dict.fromkeys(("epochs", "steps"), "all trainings have the same full length"),
    "patience": "all trainings have the same full length",
    "seed": "the seed of a search is `search.seed`",
}


def _search_problems(content: ComparisonSpec, search: SearchSpec, origin: Origin) -> Iterator[Diagnostic]:
    if len(content.networks) > 1:
        yield origin.problem("both", "a search has one network", "`base` in place of `backbones`", key=True)
    if search.seed in content.seed_numbers:
        text = f"the seed {search.seed} searches and reports: what is chosen on it looks better there than it is"
        yield (origin / "seed").problem("both", text, "a seed that `seeds` does not have")
    for path, values in search.ranges.items():
        here = origin / "ranges" / path
        first, *steps = path.split(".")
        if first != "train" or not steps:
            help = ("such as `train.optimizer.lr`; rules are searched by `variants` and `sweep`",)
            yield here.problem("range", f"`{path}` is no field of the recipe", "`train.…`", help, key=True)
        elif steps[0] in _FIXED:
            yield here.problem("range", f"`{path}` is not searched: {_FIXED[steps[0]]}", "another field", key=True)
        elif isinstance(values, list):
            for index, value in enumerate(values):
                if isinstance(value, list | dict):
                    yield (here / index).problem("range", "a value to try is a list or a mapping", "a single value")
                elif value in values[:index]:
                    yield (here / index).problem("duplicate", f"`{value}` is listed twice", "each once")
        elif not values.from_ < values.to:
            yield here.problem("range", f"{values.from_} is not below {values.to}", "`from` below `to`")
        elif values.log and values.from_ <= 0:
            yield here.problem("range", f"a range with `log` starts at {values.from_}", "above 0")


def _twice(key: str, values: list[Any], origin: Origin) -> Iterator[Diagnostic]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield (origin / key / index).problem("duplicate", f"`{value}` is listed twice", "each once")
