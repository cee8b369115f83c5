"""How a network is trained: recipes of the zoo, files, specs and settings, put on top of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.errors import Source, SpecError
from composer.spec import zoo
from composer.spec.document import Document, Value
from composer.spec.origin import Origin
from composer.spec.recipe import Recipe
from composer.spec.recipe_check import is_file, recipe_problems, unknown_recipe
from composer.spec.references import LoadedFile, read_file
from composer.spec.settings import Setting

_MAX_RECIPES = 8
# The length of a training that nobody says.
USUAL_EPOCHS = 10

_NOWHERE = Origin(Document.from_mapping({}, "<recipe>"))


@dataclass(frozen=True)
class Written:
    """A recipe as one text writes it, and where."""

    recipe: Recipe
    origin: Origin


@dataclass(frozen=True)
class Training:
    """How a network is trained, settled: the whole recipe, and the texts that it is made of, the nearest first."""

    recipe: Recipe
    texts: tuple[Written, ...]

    def origin(self, *steps: str | int) -> Origin:
        """Where a part of the recipe is written: in the nearest text that writes it, or the nearest around it."""
        for text in self.texts:
            here = text.origin
            for step in steps:
                here = here / step
            if here.written.path == here.path:
                return here
        return self.origin(*steps[:-1]) if steps else (self.texts[0].origin if self.texts else _NOWHERE)


def settle_training(
    files: Sequence[LoadedFile], recipe: str | Path | Mapping[str, Any] | None = None, settings: Sequence[Setting] = ()
) -> Training:
    """How the network of these files is trained: settings on a recipe from outside on what the nearest file says.

    files     the files of a spec, the nearest first
    recipe    a recipe of the zoo, a file, or a mapping, in place of what the files say
    settings  `train.…` settings, on top
    Raises SpecError.
    """
    found: list[Written] = []
    if settings:
        root = Value({})
        for setting in settings:
            root = root.with_value(setting.steps, setting.value)
        found.append(_read(Document(Source("--set"), root)))
    if recipe is not None:
        found.append(_given(recipe))
    else:
        speaking = next((file for file in files if file.content.train is not None), None)
        if speaking is not None:
            found.append(Written(Recipe.model_validate(speaking.content.train), speaking.origin / "train"))
    _follow(found)
    whole = Recipe(epochs=USUAL_EPOCHS)
    for one in reversed(found):
        whole = one.recipe.over(whole)
    return Training(whole, tuple(found))


def _follow(found: list[Written]) -> None:
    """Add the recipes that the last one begins with, up to one that begins with none."""
    while found and (name := found[-1].recipe.recipe) is not None:
        origin = found[-1].origin
        if len(found) > _MAX_RECIPES:
            text = f"more than {_MAX_RECIPES} recipes begin with one another"
            raise SpecError((origin / "recipe").problem("cycle", text, "a recipe that begins with none"))
        beside = Path(origin.document.source.name).parent
        found.append(_named(name, beside, (origin / "recipe").written))


def _given(recipe: str | Path | Mapping[str, Any]) -> Written:
    if isinstance(recipe, Mapping):
        return _read(Document.from_mapping({"train": dict(recipe)}, "<recipe>"))
    if isinstance(recipe, Path) or is_file(recipe):
        return _of_file(Path(recipe))
    return _of_zoo(recipe, None)


def _named(name: str, folder: Path, origin: Origin) -> Written:
    if is_file(name):
        path = folder / name
        if not path.is_file():
            label = "a file, its path relative to this one's"
            raise SpecError(origin.problem("recipe", f"there is no recipe `{name}`", label))
        return _of_file(path)
    return _of_zoo(name, origin)


def _of_zoo(name: str, origin: Origin | None) -> Written:
    path = zoo.recipe(name)
    if path is not None:
        return _of_file(path)
    raise SpecError(unknown_recipe(name, origin))


def _of_file(path: Path) -> Written:
    document = read_file(path)
    # A file of its own is written as the value of `train`, and reported as one.
    return _read(Document(document.source, Value({"train": document.root})))


def _read(document: Document) -> Written:
    origin = Origin(document) / "train"
    plain = document.plain()["train"]
    if not isinstance(plain, dict | str):
        raise SpecError(origin.problem("structure", "a recipe is a mapping", "`key: value` pairs"))
    SpecError.check(recipe_problems(plain, origin))
    return Written(Recipe.model_validate(plain), origin)
