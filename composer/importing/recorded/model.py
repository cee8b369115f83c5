"""A module of another library as a spec, whose network is proven to be the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from composer.errors import ComposerError, Diagnostic, GraphError, Source
from composer.hosts.recording.nested import tensors_in
from composer.importing.recorded.draft import Draft
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

    vars   name of a var -> its value in the model itself, and in this one
    args   what it is called with, if that is something else: an image of another size
    input  the shape of that image
    """

    model: nn.Module
    vars: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    args: Sequence[Any] | None = None
    input: Sequence[int] | None = None


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
        """The spec, its numbers not compared. Raises GraphError.

        dense  modules whose input must be contiguous, and with them all that the module makes so
        """
        draft, missing = self._read(self.model, self.args, dense)
        if missing:
            raise GraphError(list(_told(missing)))
        others = [(one, self._read(one.model, one.args or self.args, dense)) for one in self.variants]
        told = [(one, other) for one, (other, missing) in others if not missing]
        # What another size shows is written only if all of it follows from the input.
        for some in (told, [(one, other) for one, other in told if one.input is None]):
            text = self._merged(draft, some)
            if text is not None and all(self._holds_for(one, text) for one, _ in some if one.input is not None):
                return text
        alone = self._merged(draft, [])
        assert alone is not None, "one recording merges with itself"
        return alone

    def _read(
        self, model: nn.Module, args: Sequence[Any], dense: Collection[str] | None
    ) -> tuple[Draft, list[Missing]]:
        values = dict(self.model.named_buffers(remove_duplicate=False)) if model is not self.model else None
        return read(model, args, self.name, self.sites, kwargs=self.kwargs, dense=dense, buffers=values)

    def _merged(self, draft: Draft, others: Sequence[tuple[Variant, Draft]]) -> str | None:
        """The spec of all recordings together; None if they differ in more than vars and inputs."""
        merger = Merger()
        template = merger.template(draft, self.name)
        if any(merger.template(other, self.name) is not template for _, other in others):
            return None
        vars = {name: pair[0] for one, _ in others for name, pair in one.vars.items()}
        names = {
            repr([value, *(one.vars.get(name, (value, value))[1] for one, _ in others)]): name
            for name, value in vars.items()
        }
        shapes = self.inputs or [list(one.shape[1:]) for _, one in tensors_in((self.args, self.kwargs))]
        inputs = dict(zip(draft.inputs, shapes, strict=True))
        head: dict[str, Any] = {"name": self.name}
        head |= {"input": inputs["input"]} if list(inputs) == ["input"] else {"inputs": inputs}
        mapping = Writer(in_order(template), names).mapping(head)
        if not set(mapping.get("vars", {})) <= set(vars):
            return None
        return "".join(f"# {line}\n" for line in self.about) + text_of_spec(mapping)

    def _holds_for(self, variant: Variant, text: str) -> bool:
        """Whether the spec is the model for images of another size too, where it says anything of their size."""
        if not re.search(r"\.(grid_)?(height|width)\b", text):
            return True
        try:
            return self.proven(text, variant).holds
        except ComposerError:
            return False

    def proven(self, text: str, variant: Variant | None = None) -> Proof:
        """What the network of a spec has in common with the module, or with a variant of it."""
        from composer.api import build

        mapping = read_yaml(Source(self.name, text)).plain()
        model, args = self.model, self.args
        if variant is not None:
            shape = list(variant.input or ())
            old = mapping["input"]
            mapping["input"] = {**old, "shape": shape} if isinstance(old, dict) else shape
            model, args = variant.model, variant.args or args
        return proof(model, build(mapping, weights="none"), args, self.kwargs)

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
