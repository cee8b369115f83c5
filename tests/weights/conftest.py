"""A small network, and the way every refusal is checked: the network is afterwards what it was."""

from __future__ import annotations

import pytest
import torch

import composer

# The branches say something, though they start at 0 unless told otherwise.
PLAIN = {"backbone": "resnet18", "vars": {"num_classes": 5, "zero_init_last": False}}


@pytest.fixture(scope="session")
def plain() -> composer.ComposedModule:
    """ResNet-18 for five classes."""
    return composer.build(PLAIN, seed=1).eval()


@pytest.fixture
def refused():
    """What load_weights says when it refuses."""

    def check(model, source, **options) -> str:
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        with pytest.raises(composer.ComposerError) as caught:
            composer.load_weights(model, source, **options)
        after = model.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
        return str(caught.value)

    return check
