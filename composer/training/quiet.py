"""Lightning prints advice and warnings of its own; whoever trains here reads ours."""

from __future__ import annotations

import logging
import warnings


def quiet() -> None:
    """Keep Lightning's advice off the screen: what it warns of here is meant."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for text in (
        # Loaders are our own, and make no promise about workers.
        ".*does not have many workers.*",
        # Their number of batches is known.
        ".*does not have.*__len__.*",
        # A short run has fewer steps than a log's interval.
        ".*The number of training batches.*",
        # Frozen norms are in eval mode on purpose.
        ".*module\\(s\\) in eval mode.*",
        ".*Trying to infer the `batch_size`.*",
        ".*isinstance\\(treespec, LeafSpec\\).*",
    ):
        warnings.filterwarnings("ignore", message=text)
