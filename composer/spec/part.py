"""Networks inside a network: blocks and nodes with `backbone`, each with vars, attention and outputs of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from composer.spec.model import PartSpec, Rule
from composer.spec.origin import Origin

if TYPE_CHECKING:
    from composer.spec.references import LoadedFile
    from composer.spec.spec import Spec

# Most networks inside networks that one spec may have, those inside others with them.
MAX_PARTS = 256


@dataclass(frozen=True)
class Part:
    """A network inside another.

    written     what the spec says about it, at `origin`
    files       the part as the first of its chain of files, without vars; the file that writes the nodes is the last
    values      the vars that are known before the network around it is elaborated
    spec        the network with those vars
    kept_rules  how many of its rules apply; None for all
    """

    written: PartSpec
    origin: Origin
    files: tuple[LoadedFile, ...]
    values: Mapping[str, Any]
    spec: Spec
    kept_rules: int | None = None

    @property
    def rules(self) -> tuple[tuple[Rule, Origin], ...]:
        """Its rules that apply, those of networks inside it first."""
        return self.spec.every_rule[: self.kept_rules]

    def with_rules(self, count: int) -> Part:
        """The part with only its first rules."""
        return replace(self, kept_rules=count)


def key_of_node(block: str, node: str) -> str:
    """The name of the part that a node is, in a block or (an empty name) in the network. No block is called so."""
    return f"{block}/{node}"


def vars_key(part: str) -> str:
    """The key under which a node gives vars to its part: `vars` in the short form, `args` for a block."""
    return "vars" if "/" in part else "args"


def as_mapping(part: Part, written: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec writes for a part, or for a node that is one, with the whole network in place of references."""
    ours = ("outputs", "maps", "attention", "weights")
    left = {key: value for key, value in written.items() if key not in ours}
    network = part.spec.to_mapping()
    network.pop("weights", None)
    # Nodes that no output needs are left out, as in a lock.
    return {**left, "backbone": {**network, "lock": {}}}
