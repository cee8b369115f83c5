"""Where a rule puts its nodes, and what they are called: a name follows from the network and the place alone."""

from __future__ import annotations

from dataclasses import dataclass

from composer.dag.scope import Node, Scope
from composer.spec.model import Rule
from composer.spec.sites import BRANCH

_INSIDE = "at the "


@dataclass(frozen=True)
class Spot:
    """The end of a host, or the beginning at one of its inputs.

    host    the node that the rule selects
    inside  whether the nodes go into the host, a scope, as its last or first nodes, or stand beside it
    stem    what their names begin with; empty at the one branch of a block
    before  whether the spot is the beginning
    input   number of the host's input that the rule takes
    output  name of the host's output that the rule edits; empty for the only one
    number  of that output among the host's
    """

    host: Node
    inside: bool
    stem: str
    before: bool
    input: int
    output: str = ""
    number: int = 0

    @property
    def place(self) -> str:
        """Where the nodes are, in words: equal for nodes of a scope that stack."""
        number = f" at input {self.input}" if self.before and self.input else ""
        number = number or (f" at output {self.number}" if self.number else "")
        if self.inside:
            return f"{_INSIDE}{'beginning' if self.before else 'end'} of `{self.host.name}`{number}"
        return f"{'before' if self.before else 'after'} `{self.host.name}`{number}"

    def name(self, mechanism: str) -> str:
        """The name of the mechanism of a rule here, if no other node has it."""
        return f"{self.stem}_{mechanism}" if self.stem else mechanism


def goes_inside(host: Node, around: Scope, rule: Rule) -> bool:
    """Whether the nodes of a rule go into the host: a block or a stage that stays, and is not the one branch."""
    stays = rule.use is not None and (rule.position != "replace" or rule.start is not None)
    return isinstance(host.content, Scope) and stays and not _is_one_branch(host, around, rule)


def spot_of(host: Node, around: Scope, rule: Rule, number: int, output: str = "", number_of_output: int = 0) -> Spot:
    """The spot of a rule at a host, in the scope around it or in the host itself; `number` is that of an input."""
    before = rule.position == "before"
    more = str((number if before else number_of_output) + 1) if (number if before else number_of_output) else ""
    if around.path == host.path:
        stem = _free(f"{'in' if before else 'out'}{more}", around)
        return Spot(host, True, stem, before, number, output, number_of_output)
    if _is_one_branch(host, around, rule):
        return Spot(host, False, "", before, number)
    own = as_stem(host.name)
    word = f"pre{more}_{own}" if before else own
    return Spot(host, False, word if word == host.name else _free(word, around), before, number)


def as_stem(name: str) -> str:
    """A node's name at the beginning of another: a number alone cannot begin one."""
    return f"at{name}" if name.isdecimal() else name


def is_at_an_end(node: Node) -> bool:
    """Whether rules put the node at the end or the beginning of its scope."""
    return node.place is not None and node.place.startswith(_INSIDE)


def _is_one_branch(host: Node, around: Scope, rule: Rule) -> bool:
    # Of a module that gives several tensors, the end is inside.
    alone = host.result is not None or rule.output is None
    return BRANCH in host.sites and around.untouched.has_one_branch and rule.position != "before" and alone


def _free(word: str, scope: Scope) -> str:
    """The word; or, if the backbone has a node called so, which is a place of its own, `word_2`, `word_3` …"""
    number, found = 1, word
    while found in scope.untouched.nodes:
        number += 1
        found = f"{word}_{number}"
    return found
