"""The text of a spec, not necessarily saved -> its problems, and its network with every shape."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from composer.errors import ComposerError, Diagnostic, Location, Source
from composer.foreign import is_error, named
from composer.index.card import has_plugins
from composer.index.names import Names
from composer.spec.document import Document, Keys
from composer.spec.load import examine_document
from composer.spec.spec import Spec
from composer.spec.yaml import decode, read

if TYPE_CHECKING:
    from composer.dag.composition import Added
    from composer.dag.infer import Inference
    from composer.dag.scope import Node
    from composer.dag.tensor import TensorSpec
    from composer.network import Graph

MOST_COSTS = 20_000

# A key at the beginning of a line that only specs have.
_TELLING = re.compile(r"^(backbone|nodes|attention)\s*:", re.MULTILINE)
_MODELINE = re.compile(r"^#\s*yaml-language-server:\s*\$schema=\S*composer", re.MULTILINE)


def is_spec(text: str) -> bool:
    """Whether a YAML text is meant to be a spec: it has a key that says so, or names composer's schema."""
    return bool(_TELLING.search(text) or _MODELINE.search(text))


def names_schema(text: str) -> bool:
    """Whether a text names composer's schema for yaml-language-server."""
    return _MODELINE.search(text) is not None


@dataclass(frozen=True)
class Instance:
    """A node of the network, and the tensors that it takes."""

    node: Node
    inputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Reading:
    """What is known of a text.

    source    the text, and its name
    path      where it is, or would be, saved; None for a text without a place
    document  the values of the text; None if it is no YAML
    spec      the sound part of it; None if too little is
    graph     the network; None if it was not composed, or cannot be
    problems  of the text, and if it was `composed`, of the network
    """

    source: Source
    path: Path | None = None
    document: Document | None = None
    spec: Spec | None = None
    graph: Graph | None = None
    problems: tuple[Diagnostic, ...] = ()
    composed: bool = False

    def is_here(self, location: Location | None) -> bool:
        """Whether a location is in this text, not in a file that it refers to."""
        return location is not None and location.source == self.source

    @cached_property
    def instances(self) -> Mapping[Keys, Sequence[Instance]]:
        """Place of a node in the text -> the nodes of the network that it makes, in running order.

        Of a `repeat` only the whole, and not its copies.
        """
        found: defaultdict[Keys, list[Instance]] = defaultdict(list)
        for one in _instances(self.graph) if self.graph is not None else ():
            origin = one.node.origin
            if origin.document.source == self.source and origin.path[-2:-1] == ("nodes",):
                found[origin.path].append(one)
        return {path: list(_outermost(several)) for path, several in found.items()}

    @cached_property
    def rules(self) -> Mapping[Keys, int]:
        """Place of a rule in the text -> its number in the network, from 0."""
        every = self.spec.every_rule if self.spec is not None else ()
        own = ((number, origin) for number, (_, origin) in enumerate(every))
        return {origin.path: number for number, origin in own if origin.document.source == self.source}

    @cached_property
    def added(self) -> Sequence[Added]:
        """What each rule of the network adds; nothing where the network without some of them is none."""
        try:
            return self.graph.added if self.graph is not None else ()
        except ComposerError:
            # Such as outputs that are nodes of what a rule inserts.
            return ()


@dataclass
class Reader:
    """Reads texts, one after another. What operations cost and give is found once, so that the next text is quick.

    root        the folder that references must not leave; by default that of each text
    allow_code  let a backbone `package.module:factory` run its code
    plugins     whether plugins of files are in use, whose names the index does not know
    """

    root: Path | None = None
    allow_code: bool = False
    plugins: bool = False
    _inference: Inference | None = field(default=None, repr=False)

    def read(self, text: str, path: Path | None = None, name: str = "") -> Reading:
        """The reading of a text, without its network; needs torch only for a model of another library.

        path  where the text is saved, or would be: references are relative to its folder
        name  for a text without a path
        """
        source = Source(name or str(path or "<text>"), text)
        begun = Reading(source, path)
        try:
            # The limits of files hold for texts too.
            decode(text.encode("utf-8", "surrogatepass"), source.name)
            document = read(source)
            begun = replace(begun, document=document)
            spec, problems = examine_document(document, path, (), self.root, allow_code=self.allow_code)
        except ComposerError as error:
            return replace(begun, problems=error.diagnostics)
        except BaseException as error:
            return replace(begun, problems=(_failure(error),))
        return replace(begun, spec=spec, problems=tuple(problems))

    def names(self, reading: Reading) -> Reading:
        """The reading with the problems of names and options, which need no torch, and no network yet."""
        if reading.spec is None:
            return reading
        try:
            found = Names.of(reading.spec, plugins=self.plugins or has_plugins()).problems
        except BaseException as error:
            # The network tells it, too.
            _failure(error)
            return reading
        return replace(reading, problems=(*reading.problems, *found))

    def compose(self, reading: Reading) -> Reading:
        """The reading with its network, if it can be composed, and with all problems."""
        if reading.spec is None:
            return replace(reading, composed=True)
        try:
            from composer.dag.checked import checked
            from composer.network import Graph

            graph, problems = checked(reading.spec, reading.problems, Graph, self._costs())
        except ComposerError as error:
            graph, problems = None, [*reading.problems, *error.diagnostics]
        except BaseException as error:
            graph, problems = None, [*reading.problems, _failure(error)]
        return replace(reading, graph=graph, problems=tuple(problems), composed=True)

    def _costs(self) -> Inference:
        """The costs of operations that are known already; none again when they have become too many to keep."""
        from composer.dag.infer import Inference

        if self._inference is None or len(self._inference.macs) > MOST_COSTS:
            self._inference = Inference()
        return self._inference


def _failure(error: BaseException) -> Diagnostic:
    """The problem that stands for an exception of a plugin or of composer itself; raises it if it is none."""
    if not is_error(error):
        raise error
    help = ("this is a bug in composer or in a plugin; `composer validate` on the saved file tells more",)
    return Diagnostic("failure", f"the network could not be read: {named(error)}", help=help)


def _instances(graph: Graph) -> Iterator[Instance]:
    taken = {node.path: inputs for node, inputs in graph.operations}
    for node in graph.root.walk():
        content = node.content
        own = tuple(content.inputs.values()) if content is not None and hasattr(content, "inputs") else ()
        yield Instance(node, taken.get(node.path, own))


def _outermost(found: Iterable[Instance]) -> Iterator[Instance]:
    """Those that are inside no other."""
    around: set[str] = set()
    for one in found:
        path = one.node.path
        if path.rpartition(".")[0] not in around:
            yield one
        around.add(path)
