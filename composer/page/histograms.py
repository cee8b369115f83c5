"""How the weights of a module are distributed."""

from __future__ import annotations

import base64
from typing import Any

import torch
from torch import Tensor, nn

from composer.page.schema import HistogramData

BINS = 64


def histograms(model: nn.Module) -> dict[str, HistogramData]:
    """Name of a parameter -> its distribution, in at most 1 kB each. Parameters on the meta device have none."""
    return {name: _histogram(one.detach()) for name, one in model.named_parameters() if one.numel() and not one.is_meta}


def _histogram(tensor: Tensor) -> HistogramData:
    numbers = tensor.cpu().double().flatten()
    finite = numbers[numbers.isfinite()]
    least, most = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    counts = torch.histc(finite, BINS, least, most) if least < most else torch.zeros(BINS)
    heights = (255 * counts / counts.max().clamp(min=1)).ceil().to(torch.uint8)
    return {
        "bars": base64.b64encode(bytes(heights.tolist())).decode() if least < most else "",
        "least": _short(least),
        "most": _short(most),
        "mean": _short(finite.mean()) if len(finite) else 0.0,
        "std": _short(finite.std(correction=0)) if len(finite) else 0.0,
        "lost": numbers.numel() - finite.numel(),
    }


def _short(number: Any) -> float:
    return float(f"{float(number):.6g}")
