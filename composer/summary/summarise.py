"""A composition -> its summary: rows, totals, and the cost of each attention rule."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from itertools import pairwise

from composer.dag.composition import Composition
from composer.lines import plain
from composer.summary.breakdown import Breakdown, RuleCost
from composer.summary.cost import Cost
from composer.summary.memory import Traces, Unknown, activation_memory
from composer.summary.render import ASCII, csv, markdown, styled
from composer.summary.rows import root_row
from composer.summary.view import View


class Table(View):
    """A summary with a depth, order and columns. Prints as a table."""

    def __str__(self) -> str:
        return plain(styled(self, ASCII))

    __repr__ = __str__

    def markdown(self) -> str:
        """The rows as a table of GitHub's Markdown."""
        return markdown(self)

    def csv(self) -> str:
        """The rows as comma-separated values, with numbers as plain digits."""
        return csv(self)


class Summary(Breakdown):
    """The rows and totals of a network. Prints as a table."""

    def __str__(self) -> str:
        return str(self.view())

    __repr__ = __str__

    def view(self, *, depth: int | None = None, sort: str = "order", columns: Sequence[str] | None = None) -> Table:
        """The summary at another depth, in another order or with other columns: prints as a table, writes Markdown and
        CSV.

        depth    levels of rows below the network's own row; by default as many as fit in 60 lines
        sort     `order` (running order), or rows of the same parent by `parameters`, `macs`, `memory` or `time`, the
                 largest first
        columns  names from `composer.summary.columns.COLUMNS`

        Raises InputError for an unknown order or column.
        """
        return Table.of(self, depth, sort, columns)


def summarise(composition: Composition, time: Mapping[str, float] | None = None) -> Summary:
    """The rows and costs of a network. Allocates nothing; takes time linear in its nodes, once per rule.

    time  path of an operation -> seconds, if measured
    """
    traces, unknown = Traces(), ""
    memory: Mapping[str, int] | None = None
    try:
        memory = activation_memory(composition.root, traces, composition.spec.kernels)
    except Unknown as problem:
        unknown = str(problem)
    root = root_row(composition, memory, time)
    *before, _ = composition.steps
    costs = [*(_cost(step, traces, known=not unknown) for step in before), root.cost]
    rules = tuple(
        RuleCost(rule.use or "", f"{rule.position} {rule.selector}", composition.mechanisms.get(number, ()), now - was)
        for number, ((rule, _), (was, now)) in enumerate(zip(composition.spec.every_rule, pairwise(costs), strict=True))
    )
    return Summary(
        composition.spec.name,
        composition.root.inputs,
        composition.outputs,
        root,
        costs[0],
        rules,
        unknown,
        composition.edits,
        composition.root.training,
    )


def _cost(step: Composition, traces: Traces, known: bool) -> Cost:
    memory = None
    # A rule may have replaced an operation that cannot be traced.
    with contextlib.suppress(Unknown):
        memory = sum(activation_memory(step.root, traces, step.spec.kernels).values()) if known else None
    return Cost(step.num_parameters, step.num_macs, memory)
