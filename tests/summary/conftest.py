"""Networks that the tests of summaries share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def stages() -> dict[str, Any]:
    """Five copies of a residual block and a head."""
    block = {
        "conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3},
        "bn": {"op": "batch_norm", "site": "branch"},
        "add": {"op": "add", "from": ["bn", "input"]},
        "act": "relu",
    }
    return {
        "name": "stages",
        "input": [4, 8, 8],
        "blocks": {"residual": {"nodes": block, "site": "block"}},
        "nodes": {
            "stem": {"op": "conv2d", "out_channels": 4, "kernel_size": 1},
            "body": {"block": "residual", "repeat": 5, "site": "stage"},
            "pool": "global_avg_pool",
            "fc": {"op": "linear", "out_features": 3},
        },
    }
