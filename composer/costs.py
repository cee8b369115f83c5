"""Parameters and MACs of many networks; parts that they share are computed once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.spec.load import load
from composer.spec.spec import Spec


@dataclass(frozen=True)
class Cost:
    """Learnable numbers, and multiply-accumulates of one input; None where they are not known."""

    parameters: int
    macs: int | None


def costs(sources: Iterable[str]) -> dict[str, Cost]:
    """Path or zoo name -> the cost of its network. Nothing is allocated. Raises SpecError or GraphError."""
    inference = Inference()
    known: dict[str, Cost] = {}
    found = {}
    for source in sources:
        spec = load(source)
        key = _network(spec)
        if key not in known:
            graph = Composition.of(spec, inference=inference)
            known[key] = Cost(graph.num_parameters, graph.num_macs)
        found[source] = known[key]
    return found


def _network(spec: Spec) -> str:
    """A text that is equal for specs of the same network, whatever their names."""
    return json.dumps({**spec.to_mapping(), "name": None}, sort_keys=True)
