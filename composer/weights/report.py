"""What became of each tensor, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.errors import one_of

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """A classifier that the file does not fill: its path, and how many classes each side has (None: not there)."""

    path: str
    found: int | None
    own: int

    def __str__(self) -> str:
        if self.found is None:
            return f"head {self.path}: not in the file, {self.own} classes here; left as it was"
        return f"head {self.path}: {self.found} classes in the file, {self.own} here; left as it was"


@dataclass(frozen=True)
class LoadReport:
    """What happened to each tensor, and where the file's came from.

    loaded      copied into the network
    inserted    the network's own, put in by attention rules, and not in the file
    missing     the network's own, of the backbone, and not in the file
    unexpected  in the file, and of neither the network nor its backbone
    left_out    in the file, and of the backbone in places that this network took out or put something else in
    misshapen   in both with unequal shapes: name -> (the file's, the network's)
    heads       classifiers with another number of classes in the file, or none; they keep their own weights
    source      the file or reference; `entry` and `prefix` as in Checkpoint
    keys        the key map that turned the file's names into ours
    notes       what the weights were made for that this network is not, such as another eps of its norms
    """

    loaded: tuple[str, ...]
    inserted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    misshapen: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    heads: tuple[Head, ...] = ()
    source: str = ""
    entry: str = ""
    prefix: str = ""
    keys: str = ""
    notes: tuple[str, ...] = ()

    @property
    def fills_backbone(self) -> bool:
        """Whether every tensor of the plain backbone came from the file, but for a head of another size."""
        return bool(self.loaded) and not self.missing and not self.misshapen

    def __str__(self) -> str:
        parts = [f"loaded {len(self.loaded)} tensors{self._from()}"]
        for label, names in (
            ("missing, inserted by attention", self.inserted),
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("left out, of the plain backbone and not of this network", self.left_out),
            ("misshapen", unequal(self.misshapen)),
        ):
            if names:
                parts.append(f"{len(names)} {label}: {one_of(names, 6)}")
        return "\n".join([*parts, *map(str, self.heads), *self.notes])

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            **{name: getattr(self, name) for name in ("source", "entry", "prefix", "keys")},
            "loaded": len(self.loaded),
            **{name: list(getattr(self, name)) for name in ("inserted", "missing", "unexpected", "left_out")},
            "misshapen": {name: {"found": list(a), "own": list(b)} for name, (a, b) in self.misshapen.items()},
            "heads": [vars(head) for head in self.heads],
            "notes": list(self.notes),
        }

    def _from(self) -> str:
        words = [
            f" from {self.source}" if self.source else "",
            f", entry `{self.entry}`" if self.entry else "",
            f", without the prefix `{self.prefix}`" if self.prefix else "",
            f", names by the key map `{self.keys}`" if self.keys else "",
        ]
        return "".join(words)


def unequal(misshapen: Mapping[str, tuple[Shape, Shape]]) -> list[str]:
    """Each pair of shapes in words."""
    return [f"{name} {_shape(found)}, not {_shape(own)}" for name, (found, own) in misshapen.items()]


def some_unequal(misshapen: Mapping[str, tuple[Shape, Shape]], limit: int = 6) -> str:
    """The first of them for a message."""
    found: Iterable[str] = unequal(misshapen)[:limit]
    more = f", … ({len(misshapen)} in all)" if len(misshapen) > limit else ""
    return ", ".join(found) + more


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"
