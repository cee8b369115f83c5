"""The names that a node may have: they become attributes of modules and keys of a state_dict."""

from __future__ import annotations

import re

import torch.fx
from torch import nn

from composer.spec.form import is_attribute

# Further attributes of a composed module; a variable `self` would overwrite the `self` of the generated forward.
OWN = (
    *("spec", "graph", "seed", "self", "weights_report", "composed", "links", "frozen_norms"),
    *("forward_attention", "forward_features", "forward_head", "num_features", "num_classes", "feature_info"),
    *("head_hidden_size", "get_classifier", "reset_classifier", "set_grad_checkpointing", "group_matcher"),
    # Of a sequence with attention in it.
    "beside",
    *("no_weight_decay", "pretrained_cfg", "default_cfg", "init_non_persistent_buffers"),
)
RESERVED = frozenset({*dir(nn.Module()), *dir(torch.fx.GraphModule), *dir(nn.Sequential), *OWN})


def can_name_node(name: str) -> bool:
    """Whether a computed name is valid for a node."""
    return (is_attribute(name) or re.fullmatch(r"[0-9]{1,9}", name) is not None) and name not in RESERVED
