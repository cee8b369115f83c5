"""Mechanisms as nodes of a spec, where another layout arrives: they get the adapters that a rule would give them."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from composer import registry
from composer.dag.grids import told
from composer.dag.nodes.adapters import Adapter, Adapters, NoAdapter, UnknownGrid, adapters, returned
from composer.dag.nodes.reader import Reader
from composer.dag.nodes.step import Step, Taken
from composer.dag.scope import Node
from composer.registry import ModuleEntry
from composer.spec.model import NodeSpec

Make = Callable[[NodeSpec, Step], Node]


def with_adapters(
    reader: Reader, spec: NodeSpec, step: Step, make: Make, *taken: Container[str], owner: Node | None = None
) -> list[Node]:
    """The node that `make` makes, and what adapts the layout before and after it, under names that are not `taken`.

    The last of them gives what the node's name means; the node itself has its name and keys, as without adapters.
    `owner` is the node whose module it calls, if it has none of its own. Raises Stop.
    """
    entry = _mechanism(reader, spec, step, owner)
    first, *further = _adapters(reader, entry, step) if entry is not None else [Adapters()]
    if entry is None or not first.into or (spec.when is not None and not reader.condition(spec, step)):
        return [make(spec, step)]
    taken_here = step.copies[0]
    tensors = {one.reference: one.tensor for one in taken_here}

    def adapter(one: Adapter, inputs: tuple[str, ...], made: Sequence[Node]) -> Node:
        reader.spend(step, nodes=1)
        tensors.update((node.name, node.tensor) for node in made[-1:])
        name = _fresh(step.name, one.name, *taken, tensors)
        path, given = step.path.removesuffix(step.name) + name, [tensors[reference] for reference in inputs]
        operation = registry.get(one.op)
        assert operation is not None
        inferred = reader.infer(operation, one.options, given)
        output = told(inferred.output, given, path)
        return Node(name, path, step.origin / "op", inputs, inferred.operation, output)

    turned: list[Node] = []
    others: list[Taken] = []
    for number, (one, steps) in enumerate(zip(taken_here[1:], further, strict=True), 1):
        word = entry.tensors[number] if number < len(entry.tensors) else str(number)
        for each in steps.into:
            turned.append(adapter(replace(each, name=f"{word}_{each.name}"), (one.reference,), turned))
            one = replace(one, reference=turned[-1].name, tensor=turned[-1].tensor)
        others.append(one)

    def mechanism(current: str, made: Sequence[Node]) -> Node:
        adapted = replace(taken_here[0], reference=current, tensor=made[-1].tensor)
        # Expressions also read the facts of what arrives at the adapters.
        names = {**made[-1].tensor.facts, **step.known}
        return make(spec, replace(step, copies=((adapted, *others),), names=names))

    tensors.update((node.name, node.tensor) for node in turned)
    made = first.around(taken_here[0].reference, adapter, mechanism)
    made[-1] = returned(made[-1], taken_here[0].tensor)
    return [*turned, *(replace(node, tail=made[-1].name) if node.name == step.name else node for node in made)]


def _mechanism(reader: Reader, spec: NodeSpec, step: Step, owner: Node | None) -> ModuleEntry | None:
    """The mechanism of a node; None for any other node. Raises Stop."""
    if spec.repeat is not None or not step.tensors:
        return None
    op = reader.value(step, "op", spec.op) if owner is None else owner.entry and owner.entry.name
    return registry.get_mechanism(op) if isinstance(op, str) else None


def _adapters(reader: Reader, entry: ModuleEntry, step: Step) -> list[Adapters]:
    """The adapters of each tensor; none for what cannot be adapted, which the mechanism then says. Raises Stop."""
    first, *others = step.tensors
    try:
        alike = [one if one.layout == first.layout else None for one in others]
        return [adapters(entry, first), *(adapters(entry, one).into_only if one else Adapters() for one in alike)]
    except UnknownGrid as problem:
        raise reader.note(step.problem("misfit", str(problem), problem.label, problem.help)) from problem
    except NoAdapter:
        return [Adapters()]


def _fresh(host: str, adapter: str, *taken: Container[str]) -> str:
    """`HOST_ADAPTER`, or with a number if it is taken; a name of digits gets `at` in front."""
    name = wanted = f"{'at' * host[0].isdigit()}{host}_{adapter}"
    number = 1
    while any(name in names for names in taken):
        number += 1
        name = f"{wanted}_{number}"
    return name
