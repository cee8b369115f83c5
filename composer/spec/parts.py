"""Finds the networks inside a network: follows their references and settles them with the vars that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from composer.errors import Diagnostic, Mistakes, SpecError
from composer.spec.document import Document, Value
from composer.spec.evaluate import show
from composer.spec.expression import is_dynamic, parse_template
from composer.spec.model import PartSpec, SourceSpec, SpecFile
from composer.spec.origin import Origin, evaluate, walk_strings
from composer.spec.part import MAX_PARTS
from composer.spec.references import LoadedFile, follow
from composer.spec.settle import Written
from composer.spec.spec import Part, Spec, escaped
from composer.spec.tokens import ExpressionError

Chain = tuple[LoadedFile, ...]


@dataclass
class PartsFinder:
    """Settles the parts of a spec and those inside them, with `settle`. `with_weights`: looks for their weights too."""

    settle: Callable[[Chain, PartsFinder], Spec]
    with_weights: bool = True
    left: int = MAX_PARTS
    problems: list[Diagnostic] = field(default_factory=list)

    def find(self, written: Written, vars: Mapping[str, Any]) -> dict[str, Part]:
        """The parts by name. Raises SpecError if one cannot be settled."""
        found: dict[str, Part] = {}
        for name, (part, origin, file) in written.parts.items():
            self.left -= 1
            if self.left < 0:
                text = f"there are more than {MAX_PARTS} networks inside one another"
                raise SpecError(origin.problem("budget", text, "too much from here on"))
            files = chain_of(part, origin, file, vars, with_weights=self.with_weights)
            values: dict[str, Any] = {}
            for var, value in part.vars.items():
                if _reads(value) <= vars.keys():
                    try:
                        values[var] = evaluate(value, vars, origin / "vars" / var)
                    except Mistakes as error:
                        self.problems += error.diagnostics
            spec = self.settle(with_vars(files, values, {}), self)
            self.problems += spec.problems
            found[name] = Part(part, origin, files, values, spec)
        return found


def chain_of(part: PartSpec, origin: Origin, file: LoadedFile, vars: Mapping[str, Any], *, with_weights: bool) -> Chain:
    """The files of a part: itself, without its vars, then those that it refers to. Raises SpecError."""
    keys = {"outputs", "maps", "attention", *(["weights"] if with_weights else [])} & part.model_fields_set
    own = {key: getattr(part, key) for key in keys}
    first = LoadedFile(SpecFile(**own), origin, file.path, file.root, file.trail)
    if isinstance(part.backbone, SpecFile):
        return (first, *follow(replace(first, content=part.backbone, origin=origin / "backbone")))
    here = origin / "backbone"
    written = part.backbone.to_mapping() if isinstance(part.backbone, SourceSpec) else part.backbone
    try:
        backbone = evaluate(written, vars, here)
    except Mistakes as error:
        raise SpecError(error.diagnostics) from error
    if isinstance(part.backbone, SourceSpec):
        backbone = SourceSpec.model_validate(backbone)
    elif not isinstance(backbone, str):
        raise SpecError(here.problem("unknown-backbone", f"`backbone` is {show(backbone)}", "a name or a path"))
    return follow(replace(first, content=SpecFile(**own, backbone=backbone)))


def with_vars(files: Chain, values: Mapping[str, Any], places: Mapping[str, Origin]) -> Chain:
    """The chain of a part with these vars; `places` says where vars are written that are not written in the part."""
    first, *others = files
    root = first.origin.document.root
    for name, value in values.items():
        place = places.get(name) or first.origin / "vars" / name
        given = replace(_value(escaped(value)), location=place.location(), key_location=place.location(key=True))
        root = root.with_value((*map(str, first.origin.path), "vars", name), given)
    origin = replace(first.origin, document=replace(first.origin.document, root=root))
    content = first.content.model_copy(update={"vars": dict(values)})
    return (replace(first, content=content, origin=origin), *others)


def _value(value: Any) -> Value:
    found: Value = Document.from_mapping({"value": value}).root.data["value"]
    return found


def _reads(value: Any) -> set[str]:
    """The names that the expressions in a value read; the value itself tells what is wrong with them."""
    try:
        return set(_names(value))
    except ExpressionError:
        return set()


def _names(value: Any) -> Iterator[str]:
    for text, _ in walk_strings(value, Origin(Document.from_mapping({}))):
        if is_dynamic(text):
            yield from (name.partition(".")[0] for name, _ in parse_template(text).reads)
