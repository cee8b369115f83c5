"""Which names a node can have: they become attributes of modules and keys of a state_dict."""

from __future__ import annotations

import keyword
import re

import torch.fx
from torch import nn

# What a composed module has besides; `self` would be overwritten by a variable of the generated forward.
OWN = (
    *("spec", "graph", "seed", "self", "weights_report"),
    *("forward_features", "forward_head", "num_features", "num_classes", "feature_info"),
    *("head_hidden_size", "get_classifier", "reset_classifier"),
)
RESERVED = frozenset({*dir(nn.Module()), *dir(torch.fx.GraphModule), *dir(nn.Sequential), *OWN})


def can_name_node(name: str) -> bool:
    """Whether a computed name is one that a spec could have written."""
    shape = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]{1,9}", name)
    return shape is not None and len(name) <= 100 and name not in RESERVED and not keyword.iskeyword(name)
