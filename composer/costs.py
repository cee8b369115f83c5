"""Parameters and MACs of many networks; operations that they share are inferred only once."""

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
    """Number of parameters, and multiply-accumulates per example; None if not known."""

    parameters: int
    macs: int | None


def costs(sources: Iterable[str]) -> dict[str, Cost]:
    """Path or zoo name -> cost of its network; allocates nothing. Raises SpecError or GraphError."""
    inference = Inference()
    known: dict[str, Cost] = {}
    found = {}
    for source in sources:
        spec = load_spec(source)
        key = _network(spec)
        if key not in known:
            known[key] = cost(spec, inference)
        found[source] = known[key]
    return found


def cost(spec: Spec, inference: Inference) -> Cost:
    """What a network costs; `inference` has the operations that were inferred before. Raises GraphError."""
    graph = Composition.of(spec, inference=inference)
    return Cost(graph.num_parameters, graph.num_macs)


def _network(spec: Spec) -> str:
    """A key, equal for specs that differ only in their names."""
    return json.dumps({**spec.to_mapping(), "name": None}, sort_keys=True)
