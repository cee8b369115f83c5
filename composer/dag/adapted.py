"""Mechanisms as nodes of a spec, where another layout arrives: they get the adapters that a rule would give them."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from composer import registry
from composer.dag.adapters import Adapter, Adapters, NoAdapter, UnknownGrid, adapters, returned
from composer.dag.grids import told
from composer.dag.reader import Reader
from composer.dag.scope import Node
from composer.dag.step import Step
from composer.spec.model import NodeSpec

Make = Callable[[NodeSpec, Step], Node]


def with_adapters(
    reader: Reader, spec: NodeSpec, step: Step, make: Make, *taken: Container[str], owner: Node | None = None
) -> list[Node]:
    """The node that `make` makes, and what adapts the layout before and after it, under names that are not `taken`.

    The last of them gives what the node's name means; the node itself has its name and keys, as without adapters.
    `owner` is the node whose module it calls, if it has none of its own. Raises Stop.
    """
    found = _adapters(reader, spec, step, owner)
    if not found.into or (spec.when is not None and not reader.condition(spec, step)):
        return [make(spec, step)]
    tensors = dict(zip(step.references[:1], step.tensors, strict=False))
    arriving = step.references[0]

    def adapter(one: Adapter, inputs: tuple[str, ...], made: Sequence[Node]) -> Node:
        reader.spend(step, nodes=1)
        tensors.update((node.name, node.tensor) for node in made[-1:])
        name = _fresh(step.name, one.name, *taken, tensors)
        path, given = step.path.removesuffix(step.name) + name, [tensors[reference] for reference in inputs]
        entry = registry.get(one.op)
        assert entry is not None
        inferred = reader.infer(entry, one.options, given)
        output = told(inferred.output, given, path)
        return Node(name, path, step.origin / "op", inputs, inferred.operation, output)

    def mechanism(current: str, made: Sequence[Node]) -> Node:
        first, *others = step.copies[0]
        adapted = replace(first, reference=current, tensor=made[-1].tensor)
        # Expressions also read the facts of what arrives at the adapters.
        names = {**made[-1].tensor.facts, **step.known}
        return make(spec, replace(step, copies=((adapted, *others),), names=names))

    made = found.around(arriving, adapter, mechanism)
    made[-1] = returned(made[-1], tensors[arriving])
    return [replace(node, tail=made[-1].name) if node.name == step.name else node for node in made]


def _adapters(reader: Reader, spec: NodeSpec, step: Step, owner: Node | None) -> Adapters:
    """The adapters of a node; none for what is no mechanism, or cannot be adapted, which then says so. Raises Stop."""
    if spec.repeat is not None or not step.tensors:
        return Adapters()
    op = reader.value(step, "op", spec.op) if owner is None else owner.entry and owner.entry.name
    entry = registry.get_mechanism(op) if isinstance(op, str) else None
    try:
        return adapters(entry, step.tensors[0]) if entry is not None else Adapters()
    except UnknownGrid as problem:
        raise reader.note(step.problem("misfit", str(problem), problem.label, problem.help)) from problem
    except NoAdapter:
        return Adapters()


def _fresh(host: str, adapter: str, *taken: Container[str]) -> str:
    """`HOST_ADAPTER`, or with a number if it is taken; a name of digits gets `at` in front."""
    name = wanted = f"{'at' * host[0].isdigit()}{host}_{adapter}"
    number = 1
    while any(name in names for names in taken):
        number += 1
        name = f"{wanted}_{number}"
    return name
