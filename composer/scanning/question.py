"""What a scan asks: one rule, in one network, at each of its places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from composer.comparing.arms import Arm
from composer.comparing.file import PLAIN, ComparisonFile, check_comparison
from composer.errors import Diagnostic, Source, SpecError, one_of
from composer.registry import POSITIONS
from composer.spec.document import Document, Value
from composer.spec.settings import Setting

# The whole rule, as a variant.
EVERYWHERE = "everywhere"
# What a setting may change: the rest of the network's text is no part of what a scan writes.
_SETTABLE = ("vars", "input", "train")
# A rule at one place, or at some, needs no words to choose them.
_CHOOSING = ("where", "every", "expect")
_SOURCE = Source("<scan>")


@dataclass(frozen=True)
class Question:
    """A rule in a network.

    source      the network: a name of the zoo, a path, or a model of a library
    rule        the rule as its user wrote it, with its position
    budget      what the network may cost with it, as in the file of a comparison; None without
    settings    changes of vars, input and training
    root        the folder that references may not leave; by default that of the network's file
    allow_code  let a backbone `package.module:factory` run its code
    """

    source: str
    rule: Value
    budget: Value | None = None
    settings: Sequence[Setting] = ()
    root: str | Path | None = None
    allow_code: bool = False
    _shared: Mapping[str, Value] = field(init=False)

    def __post_init__(self) -> None:
        SpecError.check(
            Diagnostic(
                "set", f"a scan cannot set `{'.'.join(one.steps)}`", one.value.key_location, label=one_of(_SETTABLE)
            )
            for one in self.settings
            if one.steps[0] not in _SETTABLE
        )
        root = Value({})
        for one in self.settings:
            root = root.with_value(one.steps, one.value)
        object.__setattr__(self, "_shared", root.data)

    @property
    def mechanism(self) -> str:
        """What the rule uses, as it is written."""
        return str(self.rule.plain().get("use"))

    @property
    def position(self) -> str:
        """The position of a valid rule: `after`, `before` …"""
        return next(word for word in POSITIONS if word in self.rule.data)

    @property
    def name(self) -> str:
        """What reports call the scan."""
        return f"{self.mechanism} in {self.source}"

    @property
    def path(self) -> Path | None:
        """A file that could stand beside that of the network, from which references start; None for a name."""
        return Path(self.source).parent / "scan.yaml" if self._is_file else None

    @property
    def base(self) -> str:
        """The network, as a text beside it names it."""
        return Path(self.source).name if self._is_file else self.source

    @property
    def _is_file(self) -> bool:
        return self.source.endswith((".yaml", ".yml"))

    def plain(self) -> Arm:
        """The network without the rule."""
        return self._arm(PLAIN, ())

    def everywhere(self) -> Arm:
        """The network with the whole rule."""
        return self._arm(EVERYWHERE, (self.rule,))

    def at(self, name: str, rule: Value) -> Arm:
        """The network with a rule at some places."""
        return self._arm(name, (rule,))

    def rule_at(self, paths: Sequence[str], sites: Mapping[str, Any]) -> Value:
        """The rule at these places only.

        paths  of nodes
        sites  of the network: a node that is called like a site of others is chosen by its path
        """
        kept = {key: one for key, one in self.rule.data.items() if key not in _CHOOSING}
        if any(path in sites for path in paths):
            return replace(self.rule, data={**kept, "where": Value(f"path in {[*paths]}")})
        only = Value(paths[0]) if len(paths) == 1 else Value([Value(path) for path in paths])
        return replace(self.rule, data={**kept, self.position: only})

    def comparison(self, variants: Mapping[str, Value], seeds: Sequence[int], **more: Value) -> ComparisonFile:
        """The file of a comparison of the plain network with rules.

        variants  name -> rule
        seeds     of its runs
        more      further keys of the file
        Raises SpecError for a budget, or other keys, that no comparison can have.
        """
        data = {
            "name": Value(self.name),
            "base": Value(self.base),
            **self._shared,
            "variants": Value(dict(variants)),
            "seeds": Value([Value(one) for one in seeds]),
            **({} if self.budget is None else {"budget": self.budget}),
            **more,
        }
        return check_comparison(Document(_SOURCE, Value(data)), self.path)

    def _arm(self, variant: str, rules: Sequence[Value]) -> Arm:
        name = self.base if variant == PLAIN else f"{self.base} {variant}"
        data = {"name": Value(name), "backbone": Value(self.base), **self._shared}
        if rules:
            data["attention"] = Value([*rules], rules[0].location)
        kind = "plain" if variant == PLAIN else "variant"
        places = {"attention.0": "rule", "backbone": "network"}
        return Arm(self.base, variant, kind, Document(_SOURCE, Value(data)), places)  # type: ignore[arg-type]
