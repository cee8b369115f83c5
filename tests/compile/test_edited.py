"""Whatever was done to a network by hand, it pickles, copies, and gives features as it is, not as its spec says."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.utils.parametrizations as parametrizations
from torch import Tensor, nn
from torch.nn.utils import fusion, prune
from torchvision.ops import FrozenBatchNorm2d

import composer

SMALL = {"num_classes": 5, "depths": [1, 2, 1, 1], "widths": [8, 8, 16, 16]}
NETWORKS = {
    "plain": {"backbone": "resnet18", "vars": SMALL},
    "attention": {"backbone": "resnet50", "vars": SMALL, "attention": [{"use": "cbam", "after": "branch"}]},
    "vit": {
        "backbone": "vit_tiny_patch16_224",
        "input": [3, 32, 32],
        "vars": {"num_classes": 5, "depth": 2, "dim": 24, "num_heads": 2},
    },
    "swin": {
        "backbone": "swin_tiny_patch4_window7_224",
        "input": [3, 56, 56],
        "vars": {"num_classes": 5, "depths": [1, 2, 1, 1], "dim": 12},
    },
}
SIZES = {"plain": 32, "attention": 32, "vit": 32, "swin": 56}


class LoRA(nn.Module):
    """A linear layer with a low-rank addition, as people write it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Linear(linear.in_features, 2, bias=False)
        self.up = nn.Linear(2, linear.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.up(self.down(x))


class Around(nn.Module):
    """Somebody's own module that holds a composed network."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * 2


def first(model: nn.Module, *kinds: type[nn.Module]) -> tuple[nn.Module, str, nn.Module]:
    """The first module of a kind, with what holds it and its name there."""
    path, found = next((path, one) for path, one in model.named_modules() if type(one) in kinds)
    owner, _, name = path.rpartition(".")
    return model.get_submodule(owner), name, found


def replace_all(model: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module]) -> None:
    for path, one in list(model.named_modules()):
        if type(one) in kinds:
            model.set_submodule(path, make(one))


def _norms(model: nn.Module) -> list[nn.Module]:
    return [one for one in model.modules() if isinstance(one, nn.BatchNorm2d | nn.LayerNorm)]


def another_head(model: nn.Module) -> None:
    owner, name, head = _head(model)
    setattr(owner, name, nn.Linear(head.in_features, 7))


def _head(model: nn.Module) -> tuple[nn.Module, str, nn.Linear]:
    path = [path for path, one in model.named_modules() if type(one) is nn.Linear][-1]
    owner, _, name = path.rpartition(".")
    return model.get_submodule(owner), name, model.get_submodule(path)


def a_deeper_head(model: nn.Module) -> None:
    owner, name, head = _head(model)
    setattr(owner, name, nn.Sequential(nn.Linear(head.in_features, 9), nn.ReLU(), nn.Linear(9, 7)))


def no_head(model: nn.Module) -> None:
    owner, name, _ = _head(model)
    setattr(owner, name, nn.Identity())


def another_first_convolution(model: nn.Module) -> None:
    owner, name, conv = first(model, nn.Conv2d)
    new = nn.Conv2d(3, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=True)
    setattr(owner, name, new)


def an_added_module(model: nn.Module) -> None:
    model.extra = nn.Linear(3, 3)
    model.register_buffer("seen", torch.ones(2))


def another_activation(model: nn.Module) -> None:
    replace_all(model, (nn.ReLU, nn.ReLU6, nn.GELU), lambda one: nn.Hardswish())


def no_first_pooling(model: nn.Module) -> None:
    replace_all(model, (nn.MaxPool2d,), lambda one: nn.Identity())


def other_norm_options(model: nn.Module) -> None:
    for one in _norms(model):
        one.eps = 0.1
        if isinstance(one, nn.BatchNorm2d):
            one.momentum = 0.5


def frozen_norms(model: nn.Module) -> None:
    def freeze(one: nn.Module) -> nn.Module:
        frozen = FrozenBatchNorm2d(one.num_features, one.eps)
        frozen.load_state_dict({k: v for k, v in one.state_dict().items() if k != "num_batches_tracked"})
        return frozen

    replace_all(model, (nn.BatchNorm2d,), freeze)


def synchronised_norms(model: nn.Module) -> None:
    nn.SyncBatchNorm.convert_sync_batchnorm(model)


def fused_norms(model: nn.Module) -> None:
    model.eval()
    for owner in list(model.modules()):
        for conv, norm in [("conv1", "bn1"), ("conv2", "bn2"), ("conv_stem", "bn1")]:
            pair = getattr(owner, conv, None), getattr(owner, norm, None)
            if type(pair[0]) is nn.Conv2d and type(pair[1]) is nn.BatchNorm2d:
                setattr(owner, conv, fusion.fuse_conv_bn_eval(*pair))
                setattr(owner, norm, nn.Identity())


def lora(model: nn.Module) -> None:
    replace_all(model, (nn.Linear,), LoRA)


def pruned(model: nn.Module) -> None:
    for one in model.modules():
        if type(one) in (nn.Conv2d, nn.Linear):
            prune.l1_unstructured(one, "weight", 0.5)


def pruned_for_good(model: nn.Module) -> None:
    pruned(model)
    for one in model.modules():
        if type(one) in (nn.Conv2d, nn.Linear):
            prune.remove(one, "weight")


def _doubled(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output * 2


def hooks(model: nn.Module) -> None:
    first(model, nn.Conv2d)[2].register_forward_hook(_doubled)


def old_weight_norm(model: nn.Module) -> None:
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(first(model, nn.Conv2d)[2])


def weight_norm(model: nn.Module) -> None:
    parametrizations.weight_norm(first(model, nn.Conv2d)[2])


def spectral_norm(model: nn.Module) -> None:
    parametrizations.spectral_norm(first(model, nn.Conv2d)[2])


def nothing(model: nn.Module) -> None:
    pass


EDITS = [
    nothing,
    another_head,
    a_deeper_head,
    no_head,
    another_first_convolution,
    an_added_module,
    another_activation,
    no_first_pooling,
    other_norm_options,
    frozen_norms,
    synchronised_norms,
    fused_norms,
    lora,
    pruned,
    pruned_for_good,
    hooks,
    old_weight_norm,
    weight_norm,
    spectral_norm,
]
# PyTorch itself copies these and refuses to pickle them.
UNPICKLED = (weight_norm, spectral_norm)


@pytest.fixture(scope="module", params=NETWORKS)
def untouched(request):
    """A network with real statistics, and an input of it."""
    torch.manual_seed(0)
    size = SIZES[request.param]
    model = composer.build(NETWORKS[request.param])
    with torch.no_grad():
        model(torch.randn(4, 3, size, size))
        for one in _norms(model):
            nn.init.uniform_(one.weight, 0.5, 1.5)
    return model.eval(), torch.randn(2, 3, size, size)


@pytest.fixture(params=EDITS, ids=lambda edit: edit.__name__)
def edited(request, untouched):
    """A network changed by hand, an input of it, and the change."""
    model, x = copy.deepcopy(untouched[0]), untouched[1]
    request.param(model)
    with torch.no_grad():
        # PyTorch copies a pruned weight only after a forward without gradients.
        model.eval()(x)
    return model, x, request.param


def saved(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def same(one: nn.Module, other: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(one(x), other(x), rtol=0, atol=0)


def test_it_is_its_own_truth(edited):
    model, x, edit = edited
    same(copy.deepcopy(model), model, x)
    if edit in UNPICKLED:
        with pytest.raises(RuntimeError, match="parametrized modules is only supported through state_dict"):
            saved(model)
    else:
        for again in (saved(model), pickle.loads(pickle.dumps(model)), saved(Around(model)).body):
            same(again, model, x)
            assert type(again) is type(model)
            assert [type(one) for one in again.modules()] == [type(one) for one in model.modules()]
            assert [len(one._forward_hooks) for one in again.modules()] == [
                len(one._forward_hooks) for one in model.modules()
            ]
    with torch.no_grad():
        given = model.forward_features(x)
        torch.testing.assert_close(model.forward_head(given), model(x), rtol=0, atol=0)
        found = composer.features(model, ["layer4" if hasattr(model, "layer4") else "norm"])(x)
        found = next(iter(found.values())) if isinstance(found, dict) else found
        torch.testing.assert_close(found, given, rtol=0, atol=0)
    again = copy.deepcopy(model)
    again.reset_classifier(3)
    with torch.no_grad():
        assert again(x).shape == (2, 3)
        torch.testing.assert_close(again.forward_features(x), given, rtol=0, atol=0)
    assert (again.num_classes, again.graph.head.node.tensor.channels) == (3, 3)


def test_the_graph_says_first_what_is_not_as_composed(edited, untouched):
    model, _, _ = edited
    found, whole = [[(repr(one), list(one._parameters)) for one in net.modules()] for net in (model, untouched[0])]
    assert bool(model.graph.edits) == (found != whole)


def test_edits_in_words_stand_above_the_summary():
    model = composer.build("resnet18")
    assert model.graph.edits == ()
    model.fc = nn.Linear(512, 7)
    model.layer1[0].act1 = nn.GELU()
    del model.layer2[1].bn1
    model.layer4.append(nn.Identity())
    model.maxpool = nn.Sequential(nn.AvgPool2d(2))
    assert sorted(model.graph.edits) == [
        "fc is Linear(in_features=512, out_features=7, bias=True): it was "
        "Linear(in_features=512, out_features=1000, bias=True)",
        "layer1.0.act1 is GELU(approximate='none'): it was ReLU()",
        f"layer2.1.bn1 is gone: it was {nn.BatchNorm2d(128)}",
        "layer4.2 is Identity(): it was not there",
        "maxpool is Sequential: it was MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)",
    ]
    first, *lines = str(model.graph.summary()).splitlines()
    assert first == "what follows was composed; by now, of its modules"
    assert [line.strip() for line in lines[:5]] == list(model.graph.edits)


def test_edits_that_print_like_what_was_there_say_what_differs():
    class Linear(nn.Linear):
        """Of another class."""

    model = composer.build("resnet18")
    prune.l1_unstructured(model.layer1[0].conv1, "weight", 0.3)
    model.fc = Linear(512, 1000)
    conv, linear = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.Linear(512, 1000)
    assert sorted(model.graph.edits) == [
        f"fc is {linear}, of class `{Linear.__module__}.{Linear.__qualname__}`: it was {linear}",
        f"layer1.0.conv1 is {conv}, with `weight_mask`, `weight_orig`, without `weight`: it was {conv}",
    ]
