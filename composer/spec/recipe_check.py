"""Checks a recipe for training: its keys, its numbers, and what they demand of one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from composer.errors import Diagnostic, did_you_mean
from composer.spec import zoo
from composer.spec.augment import Augment, ColorJitter, RandAugment
from composer.spec.document import Keys
from composer.spec.misfits import misfits, without
from composer.spec.origin import Origin
from composer.spec.recipe import GroupSpec, OptimizerSpec, Recipe, ScheduleSpec

# The name of a recipe's part -> what it may hold. Further keys of an optimizer are its own.
PARTS: Mapping[str, type[BaseModel]] = {
    "train": Recipe,
    "optimizer": OptimizerSpec,
    "schedule": ScheduleSpec,
    "groups": GroupSpec,
    "augment": Augment,
    "color": ColorJitter,
    "randaugment": RandAugment,
}


def recipe_problems(written: Any, origin: Origin) -> Iterator[Diagnostic]:
    """The problems of a recipe that is written at `origin`."""
    recipe, problems = _sound(written, origin)
    yield from problems
    if recipe is None:
        return
    if recipe.recipe is not None and not is_file(recipe.recipe) and zoo.recipe(recipe.recipe) is None:
        yield unknown_recipe(recipe.recipe, (origin / "recipe").written)
    if recipe.epochs is not None and recipe.steps is not None:
        yield (origin / "steps").problem("both", "a recipe has `epochs` or `steps`, not both", "remove one", key=True)
    if recipe.schedule.at and recipe.schedule.name not in ("step",) and "name" in recipe.schedule.model_fields_set:
        here = origin / "schedule" / "at"
        yield here.problem(
            "form", f"`at` belongs to `step`, and this is `{recipe.schedule.name}`", "remove it", key=True
        )
    if recipe.batch % recipe.accumulate:
        text = f"a batch of {recipe.batch} cannot be divided into {recipe.accumulate} equal parts"
        yield (origin / "accumulate").problem("form", text, "a divisor of `batch`")


def _sound(written: Any, origin: Origin) -> tuple[Recipe | None, list[Diagnostic]]:
    """The recipe without what is wrong in it, or None if too little is left; and what is wrong."""
    try:
        return Recipe.model_validate(written), []
    except ValidationError as error:
        problems = list(misfits(error, origin, _keys_at))
    for one in problems:
        steps = one.path.removeprefix(f"{origin.dotted}.").split(".")
        written = without(written, steps[:1] if steps[0] == "groups" else steps)
    try:
        return Recipe.model_validate(written), problems
    except ValidationError:
        return None, problems


def is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def unknown_recipe(name: str, origin: Origin | None) -> Diagnostic:
    text = f"no recipe is called `{name}`"
    hint = did_you_mean(name, zoo.recipes(), f"recipes are {', '.join(zoo.recipes())}; a file's path ends in .yaml")
    return Diagnostic("recipe", text, help=hint) if origin is None else origin.problem("recipe", text, "", hint)


def _keys_at(path: Keys, here: Origin) -> list[str]:
    """The keys that a mapping of a recipe may have."""
    name = next(step for step in reversed(path) if isinstance(step, str))
    return list(PARTS[name].model_fields)
