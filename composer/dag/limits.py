"""What a network may cost, checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from composer.errors import Diagnostic
from composer.spec.origin import Origin

MAX_NODES = 10_000
MAX_PARAMETERS = 5_000_000_000
# Numbers of one input of the network, and of any tensor in it that comes of one input.
MAX_INPUT = 100_000_000
MAX_TENSOR = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """The most nodes (operations and scopes) and learnable numbers a network may have."""

    nodes: int = MAX_NODES
    parameters: int = MAX_PARAMETERS

    def exceeded(self, nodes: int, parameters: int, origin: Origin, path: str | None = None) -> Diagnostic | None:
        """What is wrong with a network of this size; None when it fits."""
        for count, limit, what in ((nodes, self.nodes, "nodes"), (parameters, self.parameters, "parameters")):
            if count > limit:
                help = (f"make it smaller, or raise the limit: `--max-{what}` or `max_{what}=`",)
                text = f"the network has more than {limit:,} {what}"
                return origin.problem("budget", text, "too much from here on", help, key=True, path=path)
        return None
