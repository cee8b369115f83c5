"""A module of another library as a spec, whose network is proven to be the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from composer.errors import Diagnostic, GraphError, Source
from composer.hosts.trace import tensors_in
from composer.importing.recorded.merge import Merger, in_order
from composer.importing.recorded.proof import Proof, proof
from composer.importing.recorded.read import read
from composer.importing.recorded.text import Writer, text_of_spec
from composer.importing.recorded.translate import Missing
from composer.spec.yaml import read as read_yaml

MAX_PATHS = 40


@dataclass(frozen=True)
class Variant:
    """The same model with other numbers, which shows what follows from them.

    vars  name of a var -> its value in the model itself, and in this one
    """

    model: nn.Module
    vars: Mapping[str, tuple[Any, Any]]


@dataclass
class Import:
    """What is imported.

    model   a module with its numbers, on the CPU
    args, kwargs  what it is called with
    name    the name of the network
    inputs  the inputs in their order: shapes without a batch, or mappings as in a spec
    about   lines of comment at the beginning of the file
    sites   path in the module -> the sites of the node there
    """

    model: nn.Module
    args: Sequence[Any]
    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[Any] = ()
    variants: Sequence[Variant] = ()
    about: Sequence[str] = ()
    sites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self) -> str:
        """The spec as YAML: each leaf of the module as a layer, scopes as blocks, equal blocks as repeats.

        Raises GraphError with every node that no layer is; or if the network of the spec has other keys or gives other
        numbers than the module.
        """
        written = self.written()
        found = self.proven(written)
        if found.differs:
            # What lies otherwise in memory is computed in another order.
            written = self.written(found.dense)
            found = self.proven(written)
        if not found.holds:
            raise GraphError(self._unproven(found))
        return written

    def written(self, dense: Collection[str] | None = None) -> str:
        """The spec, without the proof. `dense` are modules whose input must be contiguous. Raises GraphError."""
        draft, missing = read(self.model, self.args, self.name, self.sites, kwargs=self.kwargs, dense=dense)
        if missing:
            raise GraphError(list(_told(missing)))
        merger = Merger()
        template = merger.template(draft, self.name)
        names = {}
        for variant in self.variants:
            values = dict(self.model.named_buffers(remove_duplicate=False))
            other, missing = read(
                variant.model, self.args, self.name, self.sites, kwargs=self.kwargs, dense=dense, buffers=values
            )
            if not missing and merger.template(other, self.name) is template:
                names.update({repr(list(pair)): name for name, pair in variant.vars.items()})
        shapes = self.inputs or [list(one.shape[1:]) for _, one in tensors_in((self.args, self.kwargs))]
        inputs = dict(zip(draft.inputs, shapes, strict=True))
        head: dict[str, Any] = {"name": self.name}
        head |= {"input": inputs["input"]} if list(inputs) == ["input"] else {"inputs": inputs}
        text = text_of_spec(Writer(in_order(template), names).mapping(head))
        return "".join(f"# {line}\n" for line in self.about) + text

    def proven(self, text: str) -> Proof:
        """What the network of a spec has in common with the module."""
        from composer.api import build

        mapping = read_yaml(Source(self.name, text)).plain()
        network = build(mapping, weights="none")
        return proof(self.model, network, self.args, self.kwargs)

    def _unproven(self, found: Proof) -> Diagnostic:
        if found.keys:
            text = f"{self.name} cannot be written with the same keys: {_listed(found.keys)}"
            return Diagnostic("import-keys", text, help=(_INSTEAD,))
        text = f"what was written for {self.name} gives other numbers, first at `{found.differs}`"
        return Diagnostic("import-numbers", text, help=(_INSTEAD,))


_INSTEAD = (
    "use the model as it is: `backbone: {timm: NAME}`, or `composer.insert`; or register what is missing with "
    "`@composer.layer` and give it with `--plugin`"
)


def _told(missing: Sequence[Missing]) -> list[Diagnostic]:
    """A problem for each kind of node that no layer is, with all their paths."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        groups.setdefault((one.what, one.why), []).append(one.path)
    found = []
    for number, ((what, why), paths) in enumerate(groups.items()):
        first, *others = dict.fromkeys(paths)
        help = (f"also at {_masked(others)}",) if others else ()
        more = (_INSTEAD,) if number == len(groups) - 1 else ()
        found.append(Diagnostic("import-layer", f"{what} cannot be written: {why}", path=first, help=(*help, *more)))
    return found


def _masked(paths: Sequence[str]) -> str:
    """Paths with `*` for numbers, since most nodes stand in blocks that repeat."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(re.sub(r"(?<![^._])\d+(?![^._])", "*", path), []).append(path)
    return _listed([f"{path} ({len(own)} nodes)" if len(own) > 1 else own[0] for path, own in found.items()])


def _listed(paths: Sequence[str]) -> str:
    rest = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
    return ", ".join(f"`{one}`" for one in paths[:MAX_PATHS]) + rest


def spec_of(model: nn.Module, *args: Tensor, name: str | None = None) -> str:
    """The spec of a module that is called with these tensors, as YAML. Raises GraphError as `Import.text`."""
    return Import(model, args, name or type(model).__name__.lower()).text()
