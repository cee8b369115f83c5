"""What became of each tensor of a weights file, for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from composer.amounts import plural
from composer.errors import one_of
from composer.spec.model import InputSpec
from composer.spec.preparation import describe

Shape = tuple[int, ...]
_NAMES = ("inserted", "added", "missing", "unexpected", "left_out", "left_over", "computed", "remarks")


@dataclass(frozen=True)
class Adapted:
    """A tensor that was changed to fit: its name, the kind of change, and the change in words."""

    name: str
    kind: Literal["channels", "positions"]
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True)
class Head:
    """A classifier that the file does not fill: its path, and its classes in the file and here (None: not there)."""

    path: str
    found: int | None
    own: int

    def __str__(self) -> str:
        if self.found is None:
            return f"head {self.path}: not in the file, {self.own} classes here; left as it was"
        return f"head {self.path}: {plural(self.found, 'class')} in the file, {self.own} here; left as it was"


@dataclass(frozen=True)
class LoadReport:
    """What became of each tensor, and where the file's tensors came from.

    loaded      copied into the network
    inserted    tensors of the network that attention rules inserted, and that are not in the file
    added       tensors of nodes that the spec puts on its backbone, and that are not in the file
    missing     tensors of the network's backbone that are not in the file
    unexpected  tensors in the file that belong to neither the network nor its backbone
    left_out    tensors in the file for parts of the backbone that this network removed or replaced
    misshapen   tensors in both, with different shapes: name -> (the file's, the network's)
    heads       classifiers with another number of classes in the file, or none; they keep their own weights
    source      the file or reference
    entry       the entry of the file, as in Checkpoint
    prefix      the prefix of the file's names, as in Checkpoint
    keys        the key map that turned the file's names into ours
    left_over   tensors in the file that stand beside the backbone: heads of other tasks, decoders, copies
    computed    tensors in the file that are not weights: what follows from the network's shape, and counters
    remarks     how the file was read, if there was a choice, and the beginnings in a key map that matched nothing
    adapted     loaded, but changed to fit images with other channels or of another size
    notes       how the weights' own network differs from this network, such as another eps of its norms
    image       how an image becomes the network's input, as the weights were made if the source says so
    assumed     what the source does not say, and what is assumed instead
    parts       for networks inside a network: path -> the report of its own weights; the report itself has all names
    """

    loaded: tuple[str, ...]
    inserted: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    misshapen: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    heads: tuple[Head, ...] = ()
    source: str = ""
    entry: str = ""
    prefix: str = ""
    keys: str = ""
    left_over: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    adapted: tuple[Adapted, ...] = ()
    notes: tuple[str, ...] = ()
    image: InputSpec | None = None
    assumed: str = ""
    parts: Mapping[str, LoadReport] = field(default_factory=dict)

    @property
    def fills_backbone(self) -> bool:
        """Whether every tensor of the plain backbone came from the file, except for a head of another size."""
        return bool(self.loaded) and not self.missing and not self.misshapen

    @property
    def preparation(self) -> str:
        """How images become the network's input, in words; empty for a network that does not take a single image."""
        return "" if self.image is None else describe(self.image)

    def __str__(self) -> str:
        if self.parts:
            return "\n".join(f"{path}: {report}" for path, report in self.parts.items())
        parts = [f"loaded {plural(len(self.loaded), 'tensor')}{self._from()}"]
        for label, names in (
            ("new, inserted by attention", self.inserted),
            ("new, of nodes on the backbone", self.added),
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("left out, of the plain backbone and not of this network", self.left_out),
            ("misshapen", unequal(self.misshapen)),
        ):
            if names:
                parts.append(f"{len(names)} {label}: {one_of(names, 6)}")
        if self.left_over:
            parts.append(f"{len(self.left_over)} left over, which no backbone has: {one_of(self._groups(), 6)}")
        if self.computed:
            parts.append(f"{len(self.computed)} computed here, and not read: {one_of(self.computed, 3)}")
        return "\n".join(
            [*parts, *self.remarks, *self._adapted(), *map(str, self.heads), *self.notes, *filter(None, [self.assumed])]
        )

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            **{name: getattr(self, name) for name in ("source", "entry", "prefix", "keys")},
            "loaded": len(self.loaded),
            **{name: list(getattr(self, name)) for name in _NAMES},
            "misshapen": {name: {"found": list(a), "own": list(b)} for name, (a, b) in self.misshapen.items()},
            "heads": [vars(head) for head in self.heads],
            "adapted": list(map(str, self.adapted)),
            "notes": list(self.notes),
            "image": None if self.image is None else self.image.model_dump(exclude={"layout", "grid"}),
            "assumed": self.assumed,
            **({"parts": {path: report.to_json() for path, report in self.parts.items()}} if self.parts else {}),
        }

    def _groups(self) -> list[str]:
        """The tensors that are left over, grouped by the modules beside the backbone."""
        depth = 1 + next(
            (depth for depth, part in enumerate(self._steps) if any(_step(n, depth) != part for n in self.left_over)),
            len(self._steps),
        )
        groups = Counter(".".join(name.split(".")[:depth]) for name in self.left_over)
        return [f"{name}.*" if name not in self.left_over else name for name in groups]

    @property
    def _steps(self) -> list[str]:
        return self.prefix.split(".")[:-1]

    def _adapted(self) -> Iterator[str]:
        """The changes, equal changes on one line."""
        groups: dict[str, list[str]] = {}
        for one in self.adapted:
            groups.setdefault(one.text, []).append(one.name)
        for text, names in groups.items():
            yield f"{names[0] if len(names) == 1 else f'{len(names)} tensors such as {names[0]}'}: {text}"

    def _from(self) -> str:
        words = [
            f" from {self.source}" if self.source else "",
            f", entry `{self.entry}`" if self.entry else "",
            f", without the prefix `{self.prefix}`" if self.prefix else "",
            f", names by the key map `{self.keys}`" if self.keys else "",
        ]
        return "".join(words)


def _step(name: str, depth: int) -> str:
    return name.split(".")[depth] if name.count(".") > depth else ""


def unequal(misshapen: Mapping[str, tuple[Shape, Shape]]) -> list[str]:
    """Each pair of shapes in words."""
    return [f"{name} {_shape(found)}, not {_shape(own)}" for name, (found, own) in misshapen.items()]


def some_unequal(misshapen: Mapping[str, tuple[Shape, Shape]], limit: int = 6) -> str:
    """The first pairs of shapes, for a message."""
    found: Iterable[str] = unequal(misshapen)[:limit]
    more = f", … ({len(misshapen)} in all)" if len(misshapen) > limit else ""
    return ", ".join(found) + more


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"
