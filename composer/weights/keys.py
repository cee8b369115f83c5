"""Key maps: how another library names the weights of a network that we have too. They are data, in `specs/keys/`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, WeightsError, did_you_mean
from composer.spec import zoo
from composer.spec.document import Document
from composer.spec.load import Spec
from composer.spec.origin import Origin
from composer.spec.references import read_file

Keys = str | Path | Mapping[str, Any]
# The entry of a key map that is no pair of names.
VARS = "vars"


@dataclass(frozen=True)
class KeyMap:
    """Beginnings of another library's names -> beginnings of ours; what follows stays, and so do all other names.

    The longest beginning wins. `*` stands for any part of one name, and for the same part on our side; None says that
    we have no such tensors. `vars` says what their networks have besides weights: backbones of ours (a glob) -> vars.

    >>> keys = KeyMap("example", {"features.0": "stem", "layers.l_*": "blocks.*", "layers.l_*.ln_1": "blocks.*.norm1"})
    >>> [keys.rename(name) for name in ("features.0.weight", "layers.l_7.ln_1.bias", "layers.l_7.fc.bias", "head.bias")]
    ['stem.weight', 'blocks.7.norm1.bias', 'blocks.7.fc.bias', 'head.bias']
    """

    name: str
    pairs: Mapping[str, str | None]
    vars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def departures(self, spec: Spec) -> Iterator[str]:
        """What a spec has to set to compute what their network does: what no weight says."""
        names = [file.content.name for file in spec.files if file.content.name]
        for pattern, theirs in self.vars.items():
            if fnmatch.filter(names, pattern):
                for name, value in theirs.items():
                    if spec.vars.get(name) != value:
                        yield f"theirs has {name} {value}, not {spec.vars.get(name)}: set `vars: {{{name}: {value}}}`"

    @cached_property
    def _patterns(self) -> dict[int, list[tuple[re.Pattern[str], str | None]]]:
        """The beginnings with a star, by how many names they have."""
        found: dict[int, list[tuple[re.Pattern[str], str | None]]] = {}
        for start, ours in self.pairs.items():
            if "*" in start:
                pattern = re.compile(re.escape(start).replace(r"\*", r"([^.]*)"))
                found.setdefault(start.count("."), []).append((pattern, ours))
        return found

    def rename(self, name: str) -> str | None:
        """Our name for a tensor; None where we have none like it."""
        steps = name.split(".")
        for length in range(len(steps), 0, -1):
            start, rest = ".".join(steps[:length]), steps[length:]
            found, ours = self._find(start)
            if found:
                return None if ours is None else ".".join(part for part in (ours, *rest) if part)
        return name

    def _find(self, start: str) -> tuple[bool, str | None]:
        if start in self.pairs:
            return True, self.pairs[start]
        for pattern, ours in self._patterns.get(start.count("."), ()):
            if match := pattern.fullmatch(start):
                return True, None if ours is None else _without_stars(ours, match.groups())
        return False, None


def _without_stars(text: str, parts: Iterable[str]) -> str:
    rest = iter(parts)
    return re.sub(r"\*", lambda _: next(rest), text)


def read_key_map(keys: Keys) -> KeyMap:
    """The key map of a name of the zoo, a .yaml file or a mapping. Raises WeightsError, or SpecError for the YAML."""
    if isinstance(keys, Mapping):
        return _checked("the mapping", Document.from_mapping(keys))
    text = str(keys)
    path = zoo.key_map(text) or (Path(text) if text.endswith((".yaml", ".yml")) else None)
    if path is None:
        hint = did_you_mean(text, zoo.key_maps(), "`composer list keys` shows all; a file's path ends in .yaml")
        raise WeightsError(Diagnostic("weights-keys", f"no key map is called `{text}`", help=hint))
    return _checked(path.stem, read_file(path))


def known_key_maps() -> Iterable[KeyMap]:
    """The key maps of the zoo."""
    return map(read_key_map, zoo.key_maps())


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
    return KeyMap(name, pairs, vars)


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
    return None
