"""What cannot be ejected: models whose source is another library's."""

from __future__ import annotations

from composer.dag.composition import Composition
from composer.dag.host import HostScope
from composer.errors import Diagnostic, GraphError, InputError
from composer.spec.origin import Origin


def check_source(network: Composition) -> None:
    """Raises GraphError if a part of the network is a model of another library."""
    root = network.root
    if isinstance(root, HostScope):
        source = network.spec.source
        name = source.name if source is not None else root.block
        raise GraphError(_foreign(name, source.name_origin if source is not None else network.spec.writer.origin, ""))
    for node in root.walk():
        if isinstance(node.content, HostScope):
            raise GraphError(_foreign(node.content.block, node.origin, node.path))


def _foreign(name: str, origin: Origin, path: str) -> Diagnostic:
    help = ("`composer import MODEL -o FILE.yaml` writes most models as a spec, which can be ejected",)
    text = f"`{name}` is a model of another library: its source is that library's"
    return origin.problem("eject", text, "a network of the zoo, or one of nodes", help, path=path)


def cannot(text: str, help: str) -> InputError:
    """The error for a network that cannot be written as one file."""
    return InputError(Diagnostic("eject", text, label="one file of Python", help=(help,)))
