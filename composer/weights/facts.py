"""What weights were made for but do not say themselves, and how a weights file keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from composer.compile.graph import compile_graph
from composer.spec.model import InputSpec
from composer.weights.uses import BEFORE, Uses, uses_of

if TYPE_CHECKING:
    from composer.dag.composition import Composition

# Keys in the metadata of a safetensors file.
INPUT, USES = "input", "uses"


@dataclass(frozen=True)
class Facts:
    """What a source of weights says besides tensors.

    input  how images were prepared when the network was trained, and their shape; None if not known
    uses   how the source's network uses each tensor, by the source's names; empty if not known
    """

    input: InputSpec | None = None
    uses: Uses = field(default_factory=dict)


def uses_in(graph: Composition, like: InputSpec | None = None) -> Uses:
    """How the plain backbone of a graph uses its tensors. Nothing is allocated.

    like  an input of which to take height and width, where the backbone takes images of any size
    """
    with torch.device("meta"):
        model = compile_graph(graph.plain)
    own = [tensor.without_batch for tensor in graph.root.inputs.values()]
    if like is not None and len(own) == 1 and len(own[0]) == len(like.shape) == 3:
        # Padding depends on the image size; networks with learnt positions take no other size.
        try:
            return uses_of(model, [(own[0][0], *map(int, like.shape[1:]))])
        except (RuntimeError, ValueError):
            pass
    return uses_of(model, own)


def write_facts(facts: Facts) -> dict[str, str]:
    """Facts as metadata of a safetensors file."""
    written = {USES: json.dumps(facts.uses)} if facts.uses else {}
    return written if facts.input is None else {**written, INPUT: facts.input.model_dump_json(exclude_unset=True)}


def read_facts(metadata: Mapping[str, str]) -> Facts:
    """Facts from the metadata of a safetensors file; entries that composer did not write are ignored."""
    try:
        image = InputSpec.model_validate_json(metadata[INPUT]) if INPUT in metadata else None
    except ValueError:
        image = None
    if image is not None and (len(image.shape) != 3 or not all(isinstance(one, int) for one in image.shape)):
        image = None
    return Facts(image, _uses(metadata.get(USES, "{}")))


def _uses(text: str) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: use for name, use in found.items() if isinstance(use, dict) and _is_list(use.get(BEFORE, []))}


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
