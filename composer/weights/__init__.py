"""Weights from files and hubs, loaded into a composed network. Everything is checked before the first tensor is copied.

`read` and `hub` give a Checkpoint, `fit` finds our names for its tensors, `compare` says what fits, `load` copies.
"""

from __future__ import annotations

from composer.load_report import Head, LoadReport
from composer.weights.checkpoint import Checkpoint
from composer.weights.load import load_weights
from composer.weights.read import read_checkpoint
from composer.weights.save import save_weights

__all__ = ["Checkpoint", "Head", "LoadReport", "load_weights", "read_checkpoint", "save_weights"]
