"""Where a rule puts its nodes, and what they are called: a name follows from the network and the place alone."""

from __future__ import annotations

from dataclasses import dataclass

from composer.dag.scope import Node, Scope
from composer.spec.model import Rule
from composer.spec.sites import BRANCH

_OWN = "its own nodes"


@dataclass(frozen=True)
class Spot:
    """The end or the beginning of a host.

    host    the node that the rule selects
    inside  whether the nodes go into the host, a scope, as its last or first nodes, or stand beside it
    stem    what their names begin with; empty at the one branch of a block
    """

    host: Node
    inside: bool
    stem: str
    before: bool

    @property
    def place(self) -> str:
        """Equal for spots in a scope whose nodes stack."""
        side = "before" if self.before else "after"
        return f"{side} {_OWN}" if self.inside else f"{side} `{self.host.name}`"

    def name(self, mechanism: str) -> str:
        """The name of the mechanism of a rule here, if no other node has it."""
        return f"{self.stem}_{mechanism}" if self.stem else mechanism


def spot_of(host: Node, around: Scope, rule: Rule) -> Spot:
    """The spot of a rule at a host in the scope around it."""
    before = rule.position == "before"
    if BRANCH in host.sites and around.untouched.has_one_branch and not before:
        return Spot(host, False, "", before)
    replaced = rule.use is None or (rule.position == "replace" and rule.start is None)
    if isinstance(host.content, Scope) and not replaced:
        return Spot(host, True, _free("in" if before else "out", host.content), before)
    own = f"at{host.name}" if host.name.isdecimal() else host.name
    word = f"pre_{own}" if before else own
    return Spot(host, False, word if word == host.name else _free(word, around), before)


def is_at_an_end(node: Node) -> bool:
    """Whether rules put the node at the end or the beginning of its scope."""
    return node.place is not None and node.place.endswith(_OWN)


def _free(word: str, scope: Scope) -> str:
    """The word; or, if the backbone has a node called so, which is a place of its own, `word_2`, `word_3` …"""
    number, found = 1, word
    while found in scope.untouched.nodes:
        number += 1
        found = f"{word}_{number}"
    return found
