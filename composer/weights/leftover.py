"""Tensors of a file that belong to no backbone: heads of other tasks, decoders, queues, and computed tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from composer.weights.reading import Reading
from composer.weights.wanted import Wanted

# Tables and masks that follow from a network's shape, and tensors of counters and profilers.
_COMPUTED = {
    *("relative_position_index", "relative_coords_table", "attn_mask", "position_ids"),
    *("num_batches_tracked", "n_averaged", "total_ops", "total_params"),
}
# The numbers 0, 1, 2 … over which ultralytics' detectors take a mean when they decode boxes.
_BINS = "dfl.conv.weight"
# Replaces masked patches in training; inference does not need it.
_OF_TRAINING = {"mask_token"}
# At the top level of a file, these names belong to a backbone.
_PARTS = {
    *("cls_token", "dist_token", "reg_token", "pos_embed", "patch_embed", "norm", "norm_pre", "fc_norm", "rope"),
    *("stem", "stages", "layers", "blocks", "features", "conv1", "conv_stem", "conv_head", "bn1", "bn2", "attn_pool"),
    *("pre_logits", "final_conv", "downsample_layers", "embeddings", "absolute_pos_embed", "pre_norm", "ln_pre"),
}


def only_computed(unplaced: Iterable[str], aside: Iterable[str], reading: Reading) -> list[str]:
    """Names of tensors that follow from the network's shape or count something, without other tensors beside them."""
    found = [name for name in unplaced if _is_computed(name, reading.held[name])]
    others = {_first(name, reading) for name in set(aside) - set(found)}
    return [name for name in found if _first(name, reading) not in others]


def _is_computed(name: str, tensor: Tensor) -> bool:
    if name.endswith(_BINS):
        return torch.equal(tensor.flatten().float(), torch.arange(float(tensor.numel())))
    return _leaf(name) in _COMPUTED or not (tensor.is_floating_point() or tensor.is_complex() or tensor.is_quantized)


def beside(strange: Iterable[str], reading: Reading, wanted: Wanted) -> list[str]:
    """The unplaced tensors that stand beside the backbone, not in it.

    A tensor is in the backbone if the first part of its name is also the first part of a backbone tensor's name, or
    differs from that only in a number: a layer of a deeper network, or attention that was inserted.
    """
    placed = (names for ours, names in reading.names.items() if wanted.knows(ours) and ours not in wanted.of_heads)
    used = {_first(name, reading) for names in placed for name in names}
    inside, numberless = used | _PARTS, set(map(_numberless, used))
    return [
        name
        for name in strange
        if _leaf(name) in _OF_TRAINING
        or ((first := _first(name, reading)) not in inside and _numberless(first) not in numberless)
    ]


def _first(name: str, reading: Reading) -> str:
    return name.removeprefix(reading.prefix).partition(".")[0]


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _numberless(name: str) -> str:
    return re.sub(r"\d+", "#", name)
