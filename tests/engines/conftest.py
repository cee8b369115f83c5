"""Which networks an engine is tried on: one or two in every run, the others with `-m slow`."""

from __future__ import annotations

import pytest
from engines.networks import NETWORKS

QUICK = ("resnet18", "vit_tiny_patch16_224")
# Tests that take many seconds: one network in every run.
LONG = {
    "test_onnx": ("resnet18",),
    "test_pt2e_quantises_as_many_nodes_as_in_timms": ("resnet18",),
    "test_ddp_gives_the_gradients_of_the_whole_batch_and_timms": ("vit_tiny_patch16_224",),
    "test_fsdp2_shards_trains_and_gives_the_whole_state_back": ("resnet18",),
    "test_lightning": ("vit_tiny_patch16_224",),
    "test_accelerate": ("vit_tiny_patch16_224",),
    "test_transformers_trainer": ("vit_tiny_patch16_224",),
}


def pytest_configure(config):
    config.addinivalue_line("markers", "among(applies): the networks of which the test is")


def pytest_generate_tests(metafunc):
    if "network" in metafunc.fixturenames:
        quick = LONG.get(metafunc.function.__name__, QUICK)
        among = metafunc.definition.get_closest_marker("among")
        values = [
            pytest.param(one, id=one.name, marks=() if one.name in quick else (pytest.mark.slow,))
            for one in NETWORKS
            if among is None or among.args[0](one)
        ]
        metafunc.parametrize("network", values)


def pytest_collection_modifyitems(items):
    # What other people's engines warn of is theirs.
    for item in items:
        if "engines" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
