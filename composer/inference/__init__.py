"""Makes networks faster for inference; the network that is given stays as it is."""

from composer.inference.fold import FoldReport, fold_batch_norms

__all__ = ["FoldReport", "fold_batch_norms"]
