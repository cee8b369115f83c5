"""The counters of papers beside the tools themselves, as they are today."""

from __future__ import annotations

import ptflops
import pytest

import composer
from tests import counters

SPEC = {"backbone": "resnet18", "input": [3, 64, 64]}


def test_ptflops() -> None:
    found, _ = ptflops.get_model_complexity_info(
        composer.build(SPEC).eval(),
        (3, 64, 64),
        backend="pytorch",
        # Else today's takes what a module calls of torch.nn.functional once more.
        backend_specific_config={"count_functional": False},
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
    )
    # It adds the classifier's biases, and does not know composer's own global pooling, of 512 maps of 2 × 2.
    assert found - 1000 + 512 * 2 * 2 == counters.macs(composer.load(SPEC), "ptflops")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_thop() -> None:
    # Only now: it warns where it is imported.
    import thop
    import torch

    found, _ = thop.profile(composer.build(SPEC).eval(), (torch.zeros(1, 3, 64, 64),), verbose=False)
    spec = composer.load(SPEC)
    plain = counters.macs(spec, None)
    # Today's takes four for each element of a norm with weights; with two, the papers' figures come out.
    assert found - plain == 2 * (counters.macs(spec, "thop") - plain)
