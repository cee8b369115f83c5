"""One layer in a graph, run or refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import composer

MAP = (2, 6, 5, 7)
TOKENS = (2, 9, 6)


def run(node: Any, *inputs: torch.Tensor, layout: str = "b c h w", dtype: torch.dtype = torch.float64) -> Any:
    """One node on these inputs; every input after the first is `input_1` …"""
    names = ["input", *(f"input_{index}" for index in range(1, len(inputs)))]
    spec: dict[str, Any] = {
        "inputs": {
            name: {"shape": list(x.shape[1:]), "layout": " ".join(layout.split()[: x.ndim])}
            for name, x in zip(names, inputs, strict=True)
        },
        "nodes": {"tested": node},
    }
    if len(inputs) > 1:
        spec["nodes"]["tested"] = {"from": names, **node}
    model = composer.build(spec).to(dtype).eval()
    return model(*inputs), model.graph.root.nodes["tested"].output.layout, model


def refusal(node: Any, shape: tuple[int, ...] = MAP[1:], layout: str = "b c h w", **others: Any) -> str:
    spec = {"input": {"shape": list(shape), "layout": layout}, "nodes": {**others, "tested": node}}
    with pytest.raises(composer.GraphError) as caught:
        composer.graph(spec)
    return caught.value.diagnostics[0].message


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(MAP, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(TOKENS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
