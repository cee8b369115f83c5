"""DDP, FSDP2, torch.compile and ONNX take networks whose modules are called from several places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engines.ranks import SIZE, Ranks
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import composer

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = ("share", "share_by_rule")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> Iterator[Ranks]:
    found = Ranks(tmp_path_factory.mktemp("ranks"))
    yield found
    found.close()


def built(name: str) -> composer.ComposedModule:
    """In double precision, so that the order of sums does not matter; norms use their statistics."""
    return composer.build(FOLDER / f"{name}.yaml").double().eval()


def images(model: composer.ComposedModule, count: int) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(count, *tensor.without_batch).double() for tensor in model.graph.root.inputs.values()]


def gradients(model: nn.Module, inputs: list[Tensor]) -> dict[str, Tensor]:
    model(*inputs).square().mean().backward()
    found = {name.removeprefix("module."): one.grad for name, one in model.named_parameters()}
    return {name: getattr(one, "full_tensor", one.clone)() for name, one in found.items()}


def spread(rank: int, name: str, way: str) -> dict[str, Tensor]:
    model = built(name)
    inputs = [one.chunk(SIZE)[rank] for one in images(model, 2 * SIZE)]
    if way == "ddp":
        return gradients(DistributedDataParallel(model), inputs)
    # Each block, then each stage with what it holds, then the rest with the network.
    for node in reversed(list(model.graph.root.owners())):
        if {"block", "stage"} & {*node.sites}:
            fully_shard(model.get_submodule(node.path))
    fully_shard(model)
    return gradients(model, inputs)


@pytest.mark.parametrize("way", ["ddp", "fsdp2"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_spread_over_processes_it_has_the_gradients_of_the_whole_batch(name, way, ranks):
    model = built(name)
    wanted = gradients(model, images(model, 2 * SIZE))
    for found in ranks.run(spread, name, way):
        assert found.keys() == wanted.keys()
        for key, one in wanted.items():
            assert torch.linalg.vector_norm(found[key] - one) <= 1e-10 * torch.linalg.vector_norm(one), key


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_compiles_whole(name):
    model = built(name)
    inputs = images(model, 2)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), model(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_onnx_file_has_each_weight_once(name, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = built(name).float()
    inputs = tuple(one.float() for one in images(model, 2))
    torch.onnx.export(model, inputs, tmp_path / "it.onnx", dynamo=True, optimize=False)
    names = [one.name for one in onnx.load(tmp_path / "it.onnx").graph.initializer]
    assert len(names) == len(set(names))
    assert {name for name, _ in model.named_parameters()} <= {*names}
