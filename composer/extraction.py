"""Features of a network at several scales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from composer.dag.composition import Composition
from composer.dag.levels import names_of_levels
from composer.dag.scope import Scope
from composer.errors import Diagnostic, InputError, one_of
from composer.given import several
from composer.spec.load import with_outputs

Outputs = Mapping[str, str] | Iterable[str]


def features_of(whole: Composition, outputs: Outputs | None, maps: bool | None) -> Composition:
    """The network whose outputs are those of nodes; see `composer.features`."""
    as_maps = outputs is None if maps is None else maps
    return whole.giving(with_outputs(whole.spec, _paths(whole, outputs), maps=as_maps))


def _paths(whole: Composition, outputs: Outputs | None) -> dict[str, str]:
    if outputs is None:
        inside = [one.path for one in whole.root.walk() if isinstance(one.content, Scope) and one.content.network]
        if len(inside) > 1:
            text = f"`{whole.spec.name}` holds several networks, {one_of(inside)}, each with features of its own"
            help = (f"name the outputs: {{'c3': '{inside[0]}…'}}",)
            raise InputError(Diagnostic("features", text, help=help))
        found = names_of_levels(whole.levels)
        if not found:
            text = f"`{whole.spec.name}` has neither stages nor blocks to take features from"
            raise InputError(Diagnostic("features", text, help=("name the outputs: {'c3': 'layer2'}",)))
        return dict(found)
    if isinstance(outputs, Mapping):
        return dict(outputs)
    paths = several("outputs", outputs, "paths of nodes, or a mapping name -> path")
    return {path.replace(".", "_"): path for path in paths}
