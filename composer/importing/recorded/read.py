"""Reads a module: its recording, opened as far as layers say what its parts are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from composer.dag.infer import Inference
from composer.hosts.recording.record import on_meta, record
from composer.importing.recorded.draft import Draft
from composer.importing.recorded.leaves import chains, drop_rate, is_plain, passes_on
from composer.importing.recorded.translate import Missing, Translator


def read(
    model: nn.Module,
    args: Sequence[Any],
    name: str,
    sites: Mapping[str, tuple[str, ...]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    dense: Collection[str] | None = None,
    buffers: Mapping[str, Tensor] | None = None,
) -> tuple[Draft, list[Missing]]:
    """The draft of a module, and what no layer is.

    sites   path -> sites of the node
    dense   modules whose input must be contiguous, and with them all tensors that the module makes so
    buffers path -> values of each buffer, if the module itself has none

    A module is one node where layers give the same numbers; others are looked into, down to their functions.
    """
    meta = on_meta(model)
    paths = {id(module): path for path, module in meta.named_modules()}
    values = buffers or dict(model.named_buffers(remove_duplicate=False))
    opened: set[str] = set()
    infer = Inference()
    certain: dict[Any, Any] = {}

    def whole(module: nn.Module) -> bool:
        if is_plain(module) or passes_on(module):
            return True
        return paths[id(module)] not in opened and next(chains(module), None) is not None

    while True:
        host = record(meta, args, kwargs, whole=whole, inference=infer)
        translator = Translator(
            model, infer, sites or {}, certain=certain, dense=dense or (), exact=dense is not None, buffers=values
        )
        draft = translator.scope(host, name, host.inputs)
        if not translator.to_open:
            held = [
                Missing(node.path, f"`{node.op}`", "is not called in evaluation, and its weights would be missing")
                for node in host.held.values()
            ]
            dropped = [
                Missing(path, f"`{module}`", "drops in training, and stands inside what would be written as one layer")
                for path, module in model.named_modules()
                if drop_rate(module) and path not in translator.called and _acts(path, translator.called)
            ]
            return draft, translator.missing + held + dropped
        opened.update(translator.to_open)


def _acts(path: str, called: Collection[str]) -> bool:
    """Whether a module that no call shows may act in training: inside a node, or by its rate alone, as in attention."""
    parts = path.split(".")
    around = (".".join(parts[:count]) for count in range(1, len(parts)))
    return "attn_drop" in parts[-1] or any(one in called for one in around)
