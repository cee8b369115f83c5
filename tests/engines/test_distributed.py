"""DDP, SyncBatchNorm and FSDP2 do to a composed network what they do to timm's; two processes over gloo."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator

import pytest
import torch
from engines.networks import NETWORKS, Network, images, ours, their_name, theirs
from engines.ranks import SIZE, Ranks
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

import composer

FULL = StateDictOptions(full_state_dict=True)
# Sharding takes seconds: one network in every run.
SHARDED = [
    pytest.param(one, id=one.name, marks=() if one.name.startswith("vit") else pytest.mark.slow) for one in NETWORKS
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> Iterator[Ranks]:
    found = Ranks(tmp_path_factory.mktemp("ranks"))
    yield found
    found.close()


def blocks(model: composer.ComposedModule) -> list[str]:
    return [node.path for node in model.graph.root.walk() if "block" in node.sites]


def share(network: Network, rank: int) -> Tensor:
    """The images of a rank."""
    return images(network, 2 * SIZE).double().chunk(SIZE)[rank]


def gradients(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    model(x).square().mean().backward()
    found = {name.removeprefix("module."): one.grad for name, one in model.named_parameters()}
    return {name: getattr(one, "full_tensor", one.clone)() for name, one in found.items()}


def alone(network: Network) -> dict[str, Tensor]:
    """Gradients of one process that sees all images."""
    return gradients(ours(network).double(), images(network, 2 * SIZE).double())


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert torch.linalg.vector_norm(found[name] - one) <= 1e-10 * torch.linalg.vector_norm(one), name


def both(network: Network) -> list[nn.Module]:
    """In double precision, so that the order of sums does not matter; norms use their statistics."""
    return [make(network).double() for make in (ours, theirs)]


def as_timms(found: dict[str, Tensor]) -> dict[str, Tensor]:
    return {their_name(name): one for name, one in found.items()}


def parallel(rank: int, index: int) -> list[dict[str, Tensor]]:
    x = share(NETWORKS[index], rank)
    return [gradients(DistributedDataParallel(model), x) for model in both(NETWORKS[index])]


def test_ddp_gives_the_gradients_of_the_whole_batch_and_timms(network, ranks):
    found = ranks.run(parallel, NETWORKS.index(network))
    wanted = alone(network)
    for one, peer in found:
        same(one, wanted)
        same(as_timms(one), peer)


def test_every_batch_norm_becomes_a_synchronised_one(network):
    model, x = ours(network), images(network)
    found = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    norms = [path for path, one in model.named_modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    assert [path for path, one in found.named_modules() if type(one) is nn.SyncBatchNorm] == norms
    assert list(found.state_dict()) == list(model.state_dict())
    assert len(found.graph.edits) == len(norms)
    with torch.no_grad():
        assert torch.equal(found(x), model(x))
        maps, peers = composer.features(found)(x), composer.features(model)(x)
        assert all(torch.equal(maps[key], peers[key]) for key in peers)
    peer = nn.SyncBatchNorm.convert_sync_batchnorm(theirs(network))
    assert len(norms) == sum(type(one) is nn.SyncBatchNorm for one in peer.modules())


def synchronised(rank: int) -> str:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(ours(NETWORKS[0])).train()
    try:
        model(images(NETWORKS[0]))
    except ValueError as error:
        return str(error)
    return ""


def test_synchronised_norms_train_on_accelerators_alone(ranks):
    assert all("SyncBatchNorm expected input tensor to be on GPU" in one for one in ranks.run(synchronised))


def shard(model: nn.Module, paths: list[str]) -> nn.Module:
    for path in paths:
        fully_shard(model.get_submodule(path))
    return fully_shard(model)


def sharded(rank: int, index: int) -> dict[str, Tensor]:
    """Gradients of a sharded network, after all that must hold for it."""
    network = NETWORKS[index]
    x, paths = share(network, rank), blocks(ours(network))
    model, peer = both(network)
    plain = copy.deepcopy(model)
    wanted = plain.state_dict()
    shard(model, paths)
    assert all(isinstance(model.get_submodule(path), FSDPModule) for path in ["", *paths])
    full = get_model_state_dict(model, options=FULL)
    assert list(full) == list(wanted)
    assert all(torch.equal(full[key], wanted[key]) for key in wanted)
    found = gradients(model, x)
    same(as_timms(found), gradients(shard(peer, paths), x))

    torch.optim.SGD(model.parameters(), 0.1).step()
    stepped = get_model_state_dict(model, options=FULL)
    same({name: stepped[name] for name in found}, {name: wanted[name] - 0.1 * found[name] for name in found})
    # What it loads it also changes to shards.
    with pytest.raises(composer.WeightsError, match="spread over processes"):
        composer.load_weights(model, wanted)
    set_model_state_dict(model, dict(wanted), options=FULL)
    again = get_model_state_dict(model, options=FULL)
    assert all(torch.equal(again[key], wanted[key]) for key in wanted)

    assert model.graph.edits == ()
    with torch.no_grad():
        maps, peers = composer.features(model)(x), composer.features(plain)(x)
        assert list(maps) == list(peers)
        assert all(torch.equal(maps[key], peers[key]) for key in peers)
        # Only `forward` gathers shards of itself.
        for method in ("forward_features", "forward_head"):
            register_fsdp_forward_method(model, method)
        assert torch.equal(model.forward_head(model.forward_features(x)), plain(x))
    return found


@pytest.mark.parametrize("sharded_one", SHARDED)
def test_fsdp2_shards_trains_and_gives_the_whole_state_back(sharded_one, ranks):
    wanted = alone(sharded_one)
    for found in ranks.run(sharded, NETWORKS.index(sharded_one)):
        same(found, wanted)


def born_on_meta(rank: int) -> bool:
    """Whether a network that is made without numbers, sharded and then filled is the one that was made whole."""
    spec = {"backbone": "swin_tiny_patch4_window7_224", "input": [3, 112, 112], "vars": {"depths": [1, 2, 1, 1]}}
    plain, model = composer.build(spec).eval(), composer.build(spec, device="meta").eval()
    shard(model, blocks(model)).to_empty(device="cpu")
    model.init_non_persistent_buffers()
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, plain.state_dict() if rank == 0 else {}, options=options)
    x = torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        return torch.equal(model(x), plain(x))


def test_a_network_born_on_meta_is_sharded_and_filled(ranks):
    assert ranks.run(born_on_meta) == [True, True]


def copied(rank: int, index: int) -> list[list[str]]:
    """What copying and pickling a sharded network, its view and a block raise; of timm's the same but the view."""
    paths = blocks(ours(NETWORKS[index]))
    found = []
    for model in both(NETWORKS[index]):
        shard(model, paths)
        things = [model, model.get_submodule(paths[0])]
        if isinstance(model, composer.ComposedModule):
            things.append(composer.features(model))
        found.append([])
        for one in things:
            for how in (copy.deepcopy, pickle.dumps, lambda one: torch.save(one, io.BytesIO())):
                try:
                    how(one)
                    found[-1].append("nothing")
                except (AssertionError, pickle.PicklingError) as error:
                    found[-1].append(f"{type(error).__name__}: {error}")
    return found


def test_a_sharded_network_is_neither_copied_nor_pickled(ranks):
    for mine, peer in ranks.run(copied, 0):
        assert len(mine) == 9
        assert len(peer) == 6
        for deepcopied, pickled, saved in zip(*(iter(mine + peer),) * 3, strict=True):
            assert deepcopied.startswith("AssertionError: FSDP does not support deepcopy")
            assert pickled == saved
            assert pickled.startswith("PicklingError: Can't pickle <class 'torch.distributed.fsdp")


def checkpointed(rank: int, index: int) -> list[dict[str, Tensor]]:
    """Gradients of networks checkpointed and then sharded, in either order, and no longer checkpointed."""
    network = NETWORKS[index]
    x, paths, found = share(network, rank), blocks(ours(network)), []
    for first in (True, False):
        model = ours(network).double()
        if first:
            model.set_grad_checkpointing()
        shard(model, paths)
        model.set_grad_checkpointing()
        training(model)
        found.append(gradients(model, x))
        model.set_grad_checkpointing(False)
        assert all(isinstance(model.get_submodule(path), FSDPModule) for path in ["", *paths])
        found.append(gradients(model, x))
    return found


def training(model: nn.Module) -> None:
    """Training, so that blocks are checkpointed, with nothing random and every norm using its statistics."""
    model.train()
    for one in model.modules():
        if type(one) is not nn.Sequential and not list(one.children()):
            one.eval()


@pytest.mark.slow
@pytest.mark.parametrize("index", [pytest.param(index, id=NETWORKS[index].name) for index in (0, 3)])
def test_checkpointing_goes_with_sharding(index, ranks):
    wanted = alone(NETWORKS[index])
    for rank in ranks.run(checkpointed, index):
        for found in rank:
            same(found, wanted)
