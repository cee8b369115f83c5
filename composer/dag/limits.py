"""Limits on the size of a network, checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from composer.errors import Diagnostic
from composer.spec.origin import Origin

MAX_NODES = 10_000
MAX_PARAMETERS = 5_000_000_000
# The most elements of an input of the network, and of any tensor computed from one input.
MAX_INPUT = 100_000_000
MAX_TENSOR = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """The largest number of nodes (operations and scopes) and of parameters that a network may have."""

    nodes: int = MAX_NODES
    parameters: int = MAX_PARAMETERS

    def exceeded(self, nodes: int, parameters: int, origin: Origin, path: str | None = None) -> Diagnostic | None:
        """The problem with a network of this size; None if it is within the limits."""
        for count, limit, what in ((nodes, self.nodes, "nodes"), (parameters, self.parameters, "parameters")):
            if count > limit:
                help = (f"make it smaller, or raise the limit: `--max-{what}` or `max_{what}=`",)
                text = f"the network has more than {limit:,} {what}"
                return origin.problem("budget", text, "too much from here on", help, key=True, path=path)
        return None
