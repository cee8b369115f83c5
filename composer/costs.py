"""Parameters and MACs of many networks: what they have in common is worked out once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.spec.load import load_spec
from composer.spec.spec import Spec


@dataclass(frozen=True)
class Cost:
    """Learnable numbers, and multiply-accumulates of one input; None where they are not known."""

    parameters: int
    macs: int | None


def costs(sources: Iterable[str]) -> dict[str, Cost]:
    """The cost of each network of a path or zoo name, nothing allocated. Raises SpecError or GraphError."""
    inference = Inference()
    known: dict[str, Cost] = {}
    found = {}
    for source in sources:
        spec = load_spec(source)
        key = _network(spec)
        if key not in known:
            graph = Composition.of(spec, inference=inference)
            known[key] = Cost(graph.num_parameters, graph.num_macs)
        found[source] = known[key]
    return found


def _network(spec: Spec) -> str:
    """Equal for specs of one network, whatever they are called."""
    return json.dumps({**spec.to_mapping(), "name": None}, sort_keys=True)
