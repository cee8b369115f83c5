"""Checks the names that a spec takes from the registry against the index: PyTorch is not imported, nothing is composed.

Names that only a plugin could have are no mistakes where plugins are in use: they are given back as unchecked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from composer import finding
from composer.errors import MAX_FOUND, Diagnostic, suggest
from composer.index.card import Card, composers_own
from composer.index.options import options_of, properties
from composer.options import ValidationError, validate_options
from composer.spec.expression import is_dynamic
from composer.spec.model import NodeSpec, Rule
from composer.spec.names import (
    missing_option,
    takes_nothing,
    unknown_args,
    unknown_block,
    unknown_mechanism,
    unknown_op,
    unknown_option,
    unknown_tensors,
    wrong_option,
)
from composer.spec.origin import Origin, walk_strings
from composer.spec.spec import Spec


@dataclass
class Names:
    """The names of a spec and of the networks inside it, checked.

    plugins    whether plugins are in use, whose names the index does not know
    problems   every mistake, or the first hundred
    unchecked  the names that only a plugin could have, in the order of the text
    """

    plugins: bool
    problems: list[Diagnostic] = field(default_factory=list)
    unchecked: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Spec, *, plugins: bool) -> Names:
        """The names of this spec, checked; what its text says wrongly already is passed over."""
        found = cls(plugins or bool((spec.writer.content.lock or {}).get("plugins")))
        found._spec(spec)
        return found

    def _spec(self, spec: Spec) -> None:
        for name, node in spec.nodes.items():
            self._node(spec, node, spec.node_origins[name])
        for name, block in spec.blocks.items():
            for child, node in block.nodes.items():
                self._node(spec, node, spec.block_origins[name] / "nodes" / child)
        for rule, origin in spec.rules:
            self._rule(spec, rule, origin)
        for part in spec.parts.values():
            self._spec(part.spec)

    def _node(self, spec: Spec, node: NodeSpec, origin: Origin) -> None:
        if len(self.problems) >= MAX_FOUND:
            # Each costs a search for the name that was meant.
            return
        if node.block is not None:
            known = is_dynamic(node.block) or node.block in {*spec.blocks, *spec.parts}
            if not known and spec.is_sound(origin / "block"):
                problem = unknown_block(node.block, spec.names_of_blocks, origin / "block", origin.dotted)
                self._unknown(node.block, problem)
        elif node.op is not None and not is_dynamic(node.op) and spec.is_sound(origin / "op"):
            card = composers_own().get(node.op)
            if card is None:
                self._unknown(node.op, unknown_op(node.op, composers_own(), origin / "op", origin.dotted))
                return
            self.problems += _options(spec, card, node.options, origin, origin.dotted)
            if spec.is_sound(origin):
                options = properties(card.name)
                # What is there and misspelt is told above.
                meant = {suggest(name, options) for name in node.options if name not in options}
                self.problems += (
                    missing_option(card.name, name, origin, origin.dotted)
                    for name, part in options.items()
                    if "default" not in part and name not in node.options and name not in meant
                )

    def _rule(self, spec: Spec, rule: Rule, origin: Origin) -> None:
        if rule.use is None or len(self.problems) >= MAX_FOUND or not spec.is_sound(origin / "use"):
            return
        block, card = spec.blocks.get(rule.use), composers_own().get(rule.use)
        here = spec.block_origins.get(rule.use)
        if block is not None and (card is None or here is None or here.document is origin.document):
            self.problems += unknown_args(rule.use, block.args, rule.options, origin / "with")
            self.problems += unknown_tensors(rule.use, block.inputs, rule, origin)
        elif card is None:
            known = [*composers_own(), *spec.blocks]
            hint = finding.hint(_mechanisms(), rule.use)
            self._unknown(rule.use, unknown_mechanism(rule.use, known, hint, origin / "use"))
        elif card.kind == "parameter":
            self.problems.append(takes_nothing(rule.use, origin / "use"))
        elif block is None:
            self.problems += _options(spec, card, rule.options, origin / "with", (origin / "with").dotted)
            self.problems += unknown_tensors(rule.use, card.tensors, rule, origin)

    def _unknown(self, name: str, problem: Diagnostic) -> None:
        """A name that neither the index nor the spec has."""
        if self.plugins:
            self.unchecked.setdefault(name)
        else:
            self.problems.append(problem)


def _mechanisms() -> Sequence[Card]:
    return [one for one in composers_own().values() if one.category == "mechanism"]


def _options(spec: Spec, card: Card, written: Mapping[str, Any], origin: Origin, path: str) -> Iterator[Diagnostic]:
    """A problem per option that is unknown, or whose value is of the wrong type; of expressions no value is known."""
    known = properties(card.name)
    sound = {name: value for name, value in written.items() if spec.is_sound(origin / name)}
    for name in sound.keys() - known.keys():
        others = [one.name for one in finding.called(_mechanisms(), card.name) if name in properties(one.name)]
        yield unknown_option(card.name, name, known, others, origin, path)
    plain = {name: value for name, value in sound.items() if name in known and not _holds_expression(value, origin)}
    try:
        validate_options(options_of(card.name), plain)
    except ValidationError as error:
        for record in error.errors():
            if record["type"] != "missing":
                yield wrong_option(card.name, str(record["loc"][0]), record, origin, path)


def _holds_expression(value: Any, origin: Origin) -> bool:
    return any(is_dynamic(text) for text, _ in walk_strings(value, origin))
