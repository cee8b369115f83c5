"""Key maps: how another library names the weights of a network that we have too. Ours are data, in `specs/keys/`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, WeightsError, did_you_mean
from composer.spec import zoo
from composer.spec.document import Document
from composer.spec.origin import Origin
from composer.spec.references import read_file
from composer.spec.spec import Spec

Keys = str | Path | Mapping[str, Any]
# The only key of a key map that is not the beginning of a name.
VARS = "vars"
_PART = re.compile(r"\[(\d+)/(\d+)\]")


@dataclass(frozen=True)
class KeyMap:
    """Beginnings of another library's names -> beginnings of ours. The rest of a name stays, and so do all other names.

    The longest beginning wins. `*` stands for any part of one name, and for the same part in our name. None: we have no
    such tensors. `[2/3]` after one of our names: their tensor is the second of three that we concatenate. A beginning
    ends at a dot or at the end of a name; a `partial` beginning ends within a part, as `layer` in `layer1`. `vars`: our
    backbones (a glob) -> the vars that their network sets. `where`: the line of each beginning, if a user wrote the
    map.

    >>> keys = KeyMap("example", {"features.0": "stem", "layers.l_*": "blocks.*", "layers.l_*.ln_1": "blocks.*.norm1"})
    >>> [keys.rename(name) for name in ("features.0.weight", "layers.l_7.ln_1.bias", "layers.l_7.fc.bias", "head.bias")]
    ['stem.weight', 'blocks.7.norm1.bias', 'blocks.7.fc.bias', 'head.bias']
    >>> KeyMap("example", {"net.layer": "layer"}, partial=frozenset({"net.layer"})).rename("net.layer1.weight")
    'layer1.weight'
    """

    name: str
    pairs: Mapping[str, str | None]
    vars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    partial: frozenset[str] = frozenset()
    where: Mapping[str, str] = field(default_factory=dict)

    def over(self, names: Collection[str]) -> KeyMap:
        """This map for these names: a beginning that ends at no dot of any name may end within a part."""
        whole = self._found(names)
        alone = {start for start in self.pairs if start not in whole and not start.endswith(".")}
        within = replace(self, partial=frozenset(alone))
        return replace(self, partial=frozenset(alone & within._found(names)))

    def may_concern(self, names: Iterable[str]) -> bool:
        """Whether some name and some beginning of the map have the same first part (up to the first dot)."""
        firsts = {name.partition(".")[0] for name in names}
        return any("*" in first or first in firsts for first in {start.partition(".")[0] for start in self.pairs})

    def unused(self, names: Iterable[str]) -> list[str]:
        """The beginnings that match none of these names, each with its line if known."""
        found = self._found(names)
        return [f"`{start}`{self.where.get(start, '')}" for start in self.pairs if start not in found]

    def _found(self, names: Iterable[str]) -> set[str]:
        return {found[0] for name in names if (found := self.find(name)) is not None}

    def departures(self, spec: Spec) -> Iterator[str]:
        """One sentence per var that the spec must set to compute what their network computes. No weight shows these."""
        for name, value in self.vars_of(spec).items():
            if spec.vars.get(name) != value:
                yield f"theirs has {name} {value}, not {spec.vars.get(name)}: set `vars: {{{name}: {value}}}`"

    def vars_of(self, spec: Spec) -> dict[str, Any]:
        """The vars of a spec that their network sets, with its values."""
        names = [file.content.name for file in spec.files if file.content.name]
        found = [theirs for pattern, theirs in self.vars.items() if fnmatch.filter(names, pattern)]
        return {name: value for theirs in found for name, value in theirs.items()}

    def rename(self, name: str) -> str | None:
        """Our name for a tensor, with `[i/n]` for one part of it; None if we have no such tensor."""
        found = self.find(name)
        if found is None:
            return name
        start, end, stars = found
        ours, rest = self.pairs[start], name[end:]
        if ours is None:
            return None
        ours = _with_parts(ours, stars)
        if start in self.partial:
            return ours + rest
        return ".".join(part for part in (ours.rstrip("."), rest.removeprefix(".")) if part)

    def find(self, name: str) -> tuple[str, int, list[str]] | None:
        """The beginning that matches a name: as the map writes it, the length of the match, and the text per star."""
        if not self.pairs:
            return None
        found = max(self._partial(name), key=lambda one: one[1], default=None)
        ends = [*(index for index, letter in enumerate(name) if letter == "."), len(name)]
        for end in reversed(ends):
            if found is not None and found[1] >= end:
                return found
            start, parts = name[:end], name[:end].split(".")
            for known in (start, f"{start}."):
                if known in self.pairs and known not in self.partial:
                    return known, end, []
            for pattern, written in self._starred.get(len(parts), ()):
                if (stars := _stars(written, parts)) is not None:
                    return pattern, end, stars
        return found

    @cached_property
    def _starred(self) -> dict[int, list[tuple[str, list[str]]]]:
        """The beginnings with a star, by how many dotted parts they have."""
        found: dict[int, list[tuple[str, list[str]]]] = {}
        for start in self.pairs:
            if "*" in start and start not in self.partial:
                parts = start.removesuffix(".").split(".")
                found.setdefault(len(parts), []).append((start, parts))
        return found

    def _partial(self, name: str) -> Iterator[tuple[str, int, list[str]]]:
        """The beginnings that match a name and end within one of its parts."""
        parts = name.split(".")
        for start in self.partial:
            *whole, last = start.split(".")
            if len(whole) >= len(parts) or (stars := _stars(whole, parts[: len(whole)])) is None:
                continue
            inside = parts[len(whole)]
            # A number must match whole: 1 does not match 10.
            ends = [
                end
                for end in range(len(inside), 0, -1)
                if end == len(inside) or not inside[end - 1 : end + 1].isdigit()
            ]
            for end in ends:
                if (more := _stars([last], [inside[:end]])) is not None:
                    yield start, sum(map(len, parts[: len(whole)])) + len(whole) + end, [*stars, *more]
                    break


def part_of(name: str) -> tuple[str, tuple[int, int]]:
    """Our name without its `[i/n]`, and (i, n): the i-th of n parts of the tensor.

    >>> part_of("blocks.0.attn.qkv[2/3].weight"), part_of("head.bias")
    (('blocks.0.attn.qkv.weight', (2, 3)), ('head.bias', (1, 1)))
    """
    if (found := _PART.search(name)) is None:
        return name, (1, 1)
    return name[: found.start()] + name[found.end() :], (int(found[1]), int(found[2]))


def _stars(pattern: Sequence[str], parts: Sequence[str]) -> list[str] | None:
    """The text per star, from the left and as short as possible; None if a part does not match."""
    found: list[str] = []
    for wanted, text in zip(pattern, parts, strict=True):
        first, *rest = wanted.split("*")
        if not rest:
            if wanted != text:
                return None
            continue
        position = len(first)
        if not text.startswith(first):
            return None
        for literal in rest[:-1]:
            at = text.find(literal, position)
            if at < 0:
                return None
            found.append(text[position:at])
            position = at + len(literal)
        end = len(text) - len(rest[-1])
        if end < position or not text.endswith(rest[-1]):
            return None
        found.append(text[position:end])
    return found


def _with_parts(text: str, parts: Iterable[str]) -> str:
    rest = iter(parts)
    return re.sub(r"\*", lambda _: next(rest), text)


def read_key_map(keys: Keys) -> KeyMap:
    """The key map for a name in the zoo, a .yaml file or a mapping. Raises WeightsError, or SpecError for YAML."""
    if isinstance(keys, Mapping):
        return _checked("the mapping", Document.from_mapping(keys))
    text = str(keys)
    if zoo.key_map(text):
        return _of_zoo(text)
    if not text.endswith((".yaml", ".yml")):
        hint = did_you_mean(text, zoo.key_maps(), "`composer list keys` shows all; a file's path ends in .yaml")
        raise WeightsError(Diagnostic("weights-keys", f"no key map is called `{text}`", help=hint))
    path = Path(text)
    return _checked(path.stem, read_file(path))


def known_key_maps() -> Iterable[KeyMap]:
    """The key maps of the zoo."""
    return map(_of_zoo, zoo.key_maps())


@cache
def _of_zoo(name: str) -> KeyMap:
    path = zoo.key_map(name)
    assert path is not None, name
    return replace(_checked(name, read_file(path)), where={})


def _checked(name: str, document: Document) -> KeyMap:
    pairs, origin = document.plain(), Origin(document)
    if not isinstance(pairs, dict):
        raise WeightsError(origin.problem("weights-keys", "a key map is a mapping", "`their.name: our.name` pairs"))
    vars = pairs.pop(VARS) if isinstance(pairs.get(VARS), dict) else {}
    WeightsError.check(
        [
            *_vars_problems(vars, origin / VARS),
            *(problem for key, ours in pairs.items() if (problem := _problem(key, ours, origin / key))),
        ]
    )
    return KeyMap(name, pairs, vars, where={start: _line(origin / start) for start in pairs})


def _line(origin: Origin) -> str:
    location = origin.location(key=True)
    return f" ({location.source.name}:{location.line})" if location else ""


def _vars_problems(vars: Mapping[str, Any], origin: Origin) -> Iterator[Diagnostic]:
    if not all(isinstance(some, dict) for some in vars.values()):
        text = f"`{VARS}` says what their networks have besides weights"
        yield origin.problem("weights-keys", text, "a mapping of backbones to vars, as `resnet*: {width: 64}`")


def _problem(key: str, ours: Any, origin: Origin) -> Diagnostic | None:
    if ours is not None and not isinstance(ours, str):
        return origin.problem("weights-keys", f"`{key}` is not mapped to a name", "a name, or nothing for none of ours")
    if ours is not None and ours.count("*") > key.count("*"):
        text = f"our side of `{key}` has more stars"
        return origin.problem("weights-keys", text, f"{key.count('*')} of them, each for the same part")
    parts = [(int(k), int(number)) for k, number in _PART.findall(ours or "")]
    if len(parts) > 1 or any(not 1 <= k <= number for k, number in parts):
        text = f"our side of `{key}` is no part of one tensor"
        return origin.problem("weights-keys", text, "one of `[1/3]`, `[2/3]`, `[3/3]` after a name")
    return None
