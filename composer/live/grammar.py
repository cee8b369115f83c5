"""What may stand at a place of a spec, as its JSON Schema says: the keys of a mapping, words for a value, meanings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from composer.index.card import SCHEMA, is_enough
from composer.schema.options import describe
from composer.spec.document import Keys

Part = Mapping[str, Any]

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
# Deeper than any place of a spec: a schema that refers to itself ends here.
MOST_DEEP = 40
# Words of a value that are told; there are hundreds of backbones.
MOST_WORDS = 8


@dataclass(frozen=True)
class Grammar:
    """The JSON Schema of specs."""

    schema: Part

    @classmethod
    def of_registry(cls) -> Grammar:
        """The schema of what is registered: from the index where that is enough, since it needs no torch."""
        if is_enough():
            return cls.of_index()
        from composer.schema import schema

        return cls(schema())

    @classmethod
    def of_index(cls) -> Grammar:
        """The schema of what composer itself has."""
        return _of_index()

    def keys(self, path: Keys, root: Any) -> dict[str, Part]:
        """Keys that the mapping at a path may have -> the schema of each; `root` is the plain value of the text."""
        found: dict[str, Part] = {}
        allowed: set[str] | None = None
        for part in self._parts(path, root):
            for name, one in part.get("properties", {}).items():
                found.setdefault(name, one)
            names = part.get("propertyNames", {}).get("enum")
            if names is not None:
                allowed = set(names) if allowed is None else allowed & set(names)
        return {name: one for name, one in found.items() if allowed is None or name in allowed}

    def words(self, path: Keys, root: Any) -> list[Any]:
        """The words and truth values that the value at a path may be."""
        found: dict[Any, None] = {}
        for part in self._parts(path, root):
            given = part.get("enum", [part["const"]] if "const" in part else [])
            given = [*given, *([True, False] if part.get("type") == "boolean" else [])]
            found |= dict.fromkeys(one for one in given if isinstance(one, str | bool))
        return list(found)

    def takes_mapping(self, path: Keys, root: Any) -> bool:
        """Whether the value at a path may be a mapping."""
        return any(part.get("type") == "object" or "properties" in part for part in self._parts(path, root))

    def meaning(self, path: Keys, root: Any) -> tuple[str, str]:
        """What the key at the end of a path means, and what its value may be, in a few words; empty if not known."""
        about = kinds = ""
        for part in self._steps(path, root):
            about = about or part.get("description", "")
            described = {key: one for key, one in part.items() if key != "$ref"}
            if not kinds and ("anyOf" in described or "type" in described or "enum" in described):
                kinds = _words_of(described)
            if "default" in part and part["default"] is not None and kinds:
                kinds += f", by default {json.dumps(part['default'], ensure_ascii=False)}"
        return about, kinds

    def _steps(self, path: Keys, root: Any) -> Iterator[Part]:
        """The schemas of the value at a path, before they are opened."""
        if not path:
            yield self.schema
            return
        *around, step = path
        for part in self._parts(tuple(around), root):
            if isinstance(step, int):
                items = part.get("items")
                if isinstance(items, list):
                    yield from items[step : step + 1]
                elif isinstance(items, dict):
                    yield items
            elif step in part.get("properties", {}):
                yield part["properties"][step]
            elif isinstance(part.get("additionalProperties"), dict):
                yield part["additionalProperties"]

    def _parts(self, path: Keys, root: Any) -> Iterator[Part]:
        """Every schema that the value at a path may have to meet, alternatives too."""
        value = _at(root, path)
        for one in self._steps(path, root):
            yield from self._open(one, value, MOST_DEEP)

    def _open(self, part: Part, value: Any, depth: int) -> Iterator[Part]:
        if not depth:
            return
        if "$ref" in part:
            yield from self._open(self._referred(part["$ref"]), value, depth - 1)
            return
        yield part
        for word in ("allOf", "anyOf", "oneOf"):
            for one in part.get(word, ()):
                yield from self._open(one, value, depth - 1)
        if "if" in part:
            chosen = "then" if self.holds(part["if"], value) else "else"
            if chosen in part:
                yield from self._open(part[chosen], value, depth - 1)

    def _referred(self, reference: str) -> Part:
        found: Part = self.schema
        for step in reference.removeprefix("#").strip("/").split("/"):
            found = found[step] if step else found
        return found

    def holds(self, part: Part, value: Any) -> bool:
        """Whether a value meets a condition of the schema: of the words that its conditions use."""
        if "$ref" in part and not self.holds(self._referred(part["$ref"]), value):
            return False
        if "const" in part and value != part["const"]:
            return False
        if "enum" in part and value not in part["enum"]:
            return False
        if "type" in part and not isinstance(value, _TYPES[part["type"]]):
            return False
        if "not" in part and self.holds(part["not"], value):
            return False
        if "anyOf" in part and not any(self.holds(one, value) for one in part["anyOf"]):
            return False
        if not isinstance(value, dict):
            return True
        if not all(name in value for name in part.get("required", ())):
            return False
        known = part.get("properties", {})
        return all(self.holds(known[name], one) for name, one in value.items() if name in known)


@cache
def _of_index() -> Grammar:
    return Grammar(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _at(value: Any, path: Keys) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _words_of(part: Part) -> str:
    """A schema in a few words, without the expressions that any option takes."""
    several = part.get("anyOf", [part])
    plain = [one for one in several if "$ref" not in one and one.get("pattern") != r"\$"]
    found = [_few(one["enum"]) if "enum" in one else describe(one) for one in plain]
    return " | ".join(dict.fromkeys(found))


def _few(words: Sequence[Any]) -> str:
    shown = [str(one) for one in words[:MOST_WORDS]]
    return " | ".join([*shown, "…"] if len(words) > MOST_WORDS else shown)
