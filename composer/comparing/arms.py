"""The arms of a comparison: each backbone plain, and with each variant, as specs that know their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from composer.amounts import plural
from composer.comparing.file import PLAIN, ComparisonFile
from composer.comparing.sweep import combinations, count
from composer.errors import Diagnostic, SpecError
from composer.spec.document import Document, Value
from composer.spec.load import examine_document
from composer.spec.origin import Origin
from composer.spec.spec import Spec

MAX_ARMS = 500
# Keys of a comparison that its networks have too.
_SHARED = ("vars", "input", "train")


@dataclass(frozen=True)
class Arm:
    """A network of a comparison.

    backbone  as the file names it
    variant   the name of the variant; `plain` for the network without rules
    kind      a control is a plain network that costs as much as a variant
    document  its spec, with the lines of the comparison
    places    of its spec's parts: dotted path -> that in the comparison
    values    of a sweep's combination: axis -> value
    """

    backbone: str
    variant: str
    kind: Literal["plain", "variant", "control"]
    document: Document
    places: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.backbone, self.variant

    @property
    def rules(self) -> list[Any]:
        """Its rules as the text writes them."""
        return list(self.document.plain().get("attention", ()))

    def examine(
        self, path: Path | None, root: str | Path | None = None, *, allow_code: bool = False
    ) -> tuple[Spec | None, list[Diagnostic]]:
        """Its Spec, or None, and the problems of its text, at their places in the comparison.

        path  of the comparison, from which its references start
        root  the folder that they must not leave
        """
        try:
            spec, problems = examine_document(self.document, path, (), root, allow_code=allow_code)
        except SpecError as error:
            spec, problems = None, list(error.diagnostics)
        return spec, [self.placed(one) for one in problems]

    def placed(self, problem: Diagnostic) -> Diagnostic:
        """A problem of its spec, with its path in the comparison."""
        for own, other in self.places.items():
            if problem.path == own or problem.path.startswith(f"{own}."):
                return replace(problem, path=f"{other}{problem.path.removeprefix(own)}")
        return problem

    def with_vars(self, vars: Mapping[str, Any]) -> Arm:
        """The same with other vars, without its rules."""
        root = self.document.root
        for name, value in vars.items():
            root = root.with_value(("vars", name), Document.from_mapping({"value": value}).root.data["value"])
        root = replace(root, data={key: one for key, one in root.data.items() if key != "attention"})
        return replace(self, document=replace(self.document, root=root))


def arms_of(file: ComparisonFile) -> list[Arm]:
    """All arms, each backbone's plain one before its variants. Raises SpecError for too many, or for equal names."""
    number = len(file.content.networks) * (1 + len(file.content.variants) + count(file))
    if number > MAX_ARMS:
        text = f"the comparison has {plural(number, 'network', ',')}, and at most {MAX_ARMS} may be compared"
        key = "sweep" if file.content.sweep else "variants"
        raise SpecError((file.origin / key).problem("budget", text, "fewer values", key=True))
    variants = list(_variants(file))
    names = [name for name, *_ in variants]
    SpecError.check(
        origin.problem("duplicate", f"two variants are called `{name}`", "each name once", key=True)
        for index, (name, _, origin, _) in enumerate(variants)
        if name in names[:index]
    )
    return [
        arm
        for index, backbone in enumerate(file.content.networks)
        for arm in (
            _arm(file, index, backbone, PLAIN, "plain", (), file.origin, {}),
            *(
                _arm(file, index, backbone, name, "variant", rules, origin, values)
                for name, rules, origin, values in variants
            ),
        )
    ]


_Variant = tuple[str, Sequence[Value], Origin, Mapping[str, Any]]


def _variants(file: ComparisonFile) -> Iterator[_Variant]:
    for name in file.content.variants:
        origin = file.origin / "variants" / name
        value = file.document.nearest(origin.path)
        yield name, value.data if isinstance(value.data, list) else [value], origin, {}
    for one in combinations(file):
        yield one.name, [one.rule], one.origin, one.values


def _arm(
    file: ComparisonFile,
    index: int,
    backbone: str,
    variant: str,
    kind: Literal["plain", "variant"],
    rules: Sequence[Value],
    origin: Origin,
    values: Mapping[str, Any],
) -> Arm:
    written = file.document.root.data
    one = file.content.base is not None
    name = f"{backbone} {variant}" if kind == "variant" else backbone
    data = {
        "name": Value(name),
        "backbone": written["base"] if one else written["backbones"].data[index],
        **{key: written[key] for key in _SHARED if key in written},
    }
    if kind == "variant":
        data["attention"] = Value(list(rules), file.document.nearest(origin.path).location)
    places = {"backbone": "base" if one else f"backbones.{index}"}
    listed = isinstance(file.document.nearest(origin.path).data, list)
    for number in range(len(rules)):
        places[f"attention.{number}"] = f"{origin.dotted}.{number}" if listed else origin.dotted
    return Arm(backbone, variant, kind, Document(file.document.source, Value(data)), places, values)
