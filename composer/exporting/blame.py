"""Finds the node of a network, and its line in the spec, that an exporter or a runtime stumbled over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from torch import fx

from composer.compile.trace import node_at, ran
from composer.errors import Diagnostic
from composer.exporting.subject import Subject
from composer.foreign import said

# Names of operators as exporters write them: aten.grid_sampler_2d.default, aten::sort, torch.ops.aten.roll
_OPERATOR = re.compile(r"\b(?:torch\.ops\.)?(aten|prims|torchvision|higher_order)(?:\.|::)([a-z_][a-z0-9_]*)")
# Names of a program's nodes as exporters write them: %conv2d_1, or convolution_2/aten.convolution.default
_NODE = re.compile(r"%(\w+)|\b(\w+)/(?:aten|prims)\.")
# Lines of native exceptions that say where it was raised, and not why.
_WHERE = ("Exception from ", "Check '", "Details:", "Not Implemented:", "FrontEnd API failed", "Traceback ")
MAX_TEXT = 300


def at_node(
    subject: Subject, path: str | None, message: str, label: str = "", help: tuple[str, ...] = ()
) -> Diagnostic:
    """A problem with the node at a path of the network, at its line in the spec; with the network itself for None."""
    node = None if path is None or subject.graph is None else node_at(subject.graph.root, path)
    if node is not None:
        return node.origin.problem("export", message, label, help, key=True, path=node.path)
    return Diagnostic("export", message, path=path or "", label=label, help=help)


def named(subject: Subject, path: str) -> str:
    """A node in words: its path and its operation or class."""
    node = None if subject.graph is None else node_at(subject.graph.root, path)
    if node is not None:
        return f"`{node.path}` ({node.op})"
    try:
        return f"`{path}` ({type(subject.module.get_submodule(path)).__name__})"
    except AttributeError:
        return f"`{path}`"


def ran_last(subject: Subject, error: BaseException) -> str | None:
    """Path of the node in which an exception was raised; None if none ran."""
    return ran(error, subject.module)


def of_operator(graph: fx.Graph, error: BaseException) -> tuple[str, str] | None:
    """The operator that an exporter's exception names, and the path of the node that calls it.

    None if it names none, or one that several nodes call without saying which.
    """
    text = " ".join(said(one) for one in _chain(error))
    nodes = {node.name: node for node in graph.nodes if node.op == "call_function"}
    for found in _NODE.findall(text):
        node = nodes.get(found[0] or found[1])
        if node is not None and (path := path_of(node)) is not None:
            return operator_of(node), path
    for _, operator in _OPERATOR.findall(text):
        paths = set(paths_calling(graph, operator))
        if len(paths) == 1:
            return operator, paths.pop()
    return None


def paths_calling(graph: fx.Graph, operator: str) -> Iterator[str]:
    """Paths of the modules that call an operator, in the order in which they run."""
    for node in graph.nodes:
        if node.op == "call_function" and operator_of(node) == operator and (path := path_of(node)) is not None:
            yield path


def operator_of(node: fx.Node) -> str:
    """Name of the operator that a node of a program calls: `conv2d`."""
    schema = getattr(node.target, "name", None)
    text = str(schema() if callable(schema) else node.target)
    return text.rpartition("::")[2].partition(".")[0]


def path_of(node: fx.Node) -> str | None:
    """Path of the module in which a node of a program was recorded; None if nobody knows."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    path: str = list(stack.values())[-1][0]
    return path


def first_line(error: BaseException) -> str:
    """What an exception says, in a line of a message; of torch.export's, what constraint is violated."""
    lines = [line.strip() for line in said(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Constraints violated"):
        # What follows is advice on calling torch.export.
        lines = [line.removeprefix("- ").partition(". If")[0] for line in lines if line.startswith("- ")] or lines
    if lines and lines[0].startswith(_WHERE):
        lines = ["; ".join([line for line in lines if not line.startswith(_WHERE)][:2])]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
