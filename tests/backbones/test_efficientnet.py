"""EfficientNet and EfficientNet-Lite beside timm's."""

from __future__ import annotations

import pytest
import timm
from backbones.peers import check_count, check_input, check_parity

import composer

# timm's own, which are the papers' rounded: 5.3 M, 7.8, 9.2, 12, 19, 30, 43 and 66 (Tan & Le 2019, table 2).
PARAMETERS = {
    "efficientnet_b0": 5_288_548,
    "efficientnet_lite0": 4_652_008,
}


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0"])
def test_parity(name):
    check_parity(name, lambda: timm.create_model(name))
