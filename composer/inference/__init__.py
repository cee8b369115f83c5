"""Makes networks faster for inference; the network that is given stays as it is."""

from composer.inference.fold import FoldReport, fold_batch_norms
from composer.inference.make import for_inference
from composer.inference.optimised import Optimised, Step

__all__ = ["FoldReport", "Optimised", "Step", "fold_batch_norms", "for_inference"]
