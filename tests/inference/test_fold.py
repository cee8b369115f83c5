"""Batch norms that become part of the convolution before them, and those that must not."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import composer
from composer.inference import fold_batch_norms


def used(model: nn.Module) -> nn.Module:
    """The model with statistics and scales as after training, so that a norm does something."""
    generator = torch.Generator().manual_seed(1)

    def draw(like: Tensor) -> Tensor:
        return torch.rand(like.shape, generator=generator) + 0.5

    with torch.no_grad():
        for module in model.modules():
            if getattr(module, "running_mean", None) is not None:
                module.running_mean.copy_(draw(module.running_mean) - 1)
                module.running_var.copy_(draw(module.running_var))
                for one in (module.weight, module.bias):
                    if one is not None:
                        one.copy_(draw(one))
    return model


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


class Block(nn.Module):
    """A convolution and a norm, called as a test says."""

    def __init__(self, run: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


PAIRS = {
    "1d": (nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), (2, 3, 9)),
    "2d": (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), (2, 3, 9, 9)),
    "3d": (nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), (2, 3, 5, 5, 5)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, dilation=2, stride=2), nn.BatchNorm2d(8), (2, 4, 9, 9)),
    "reflecting": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4), (2, 3, 9, 9)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), (2, 3, 5, 5)),
    "transposed in groups": (nn.ConvTranspose2d(6, 9, 3, groups=3), nn.BatchNorm2d(9), (2, 6, 5, 5)),
    "without scale": (nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False), (2, 3, 5, 5)),
    "frozen": (nn.Conv2d(3, 4, 1), torchvision.ops.FrozenBatchNorm2d(4, eps=0.1), (2, 3, 5, 5)),
    "synchronised": (nn.Conv2d(3, 4, 1), nn.SyncBatchNorm(4), (2, 3, 5, 5)),
    "with activation": (nn.Conv2d(3, 4, 1), timm.layers.BatchNormAct2d(4, act_layer=nn.SiLU), (2, 3, 5, 5)),
    "frozen with activation": (nn.Conv2d(3, 4, 1), timm.layers.FrozenBatchNormAct2d(4), (2, 3, 5, 5)),
    "padded at run time": (timm.layers.Conv2dSame(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), (2, 3, 9, 9)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_kind_of_convolution_is_folded(name: str) -> None:
    conv, norm, shape = PAIRS[name]
    model = used(nn.Sequential(conv, norm)).eval()
    before = {key: one.clone() for key, one in model.state_dict().items()}
    x = images(*shape)
    found, report = fold_batch_norms(model, x)
    assert report.folded == {"1": "0"}
    assert not report.left
    assert not any("running" in key for key in found.state_dict())
    torch.testing.assert_close(found(x), model(x), rtol=1e-5, atol=1e-5)
    # What the model gives has something to do with the norm.
    assert not torch.allclose(found(x), conv(x), atol=1e-2)
    # The model that was given is as it was.
    assert report.undo() is model
    assert {key: torch.equal(one, before[key]) for key, one in model.state_dict().items()} == dict.fromkeys(
        before, True
    )


def twice(block: Any, x: Tensor) -> Tensor:
    value: Tensor = block.norm(block.conv(x)) + block.conv(x)
    return value


def beside(block: Any, x: Tensor) -> Tensor:
    value = block.conv(x)
    found: Tensor = block.norm(value) + value
    return found


def given(block: Any, x: Tensor) -> list[Tensor]:
    value = block.conv(x)
    return [block.norm(value), value]


def by_hand(block: Any, x: Tensor) -> Tensor:
    value: Tensor = block.norm(nn.functional.conv2d(x, block.conv.weight, padding=1))
    return value


def lending(block: Any, x: Tensor) -> Tensor:
    value: Tensor = block.norm(block.conv(x)) * block.conv.weight.mean()
    return value


def overwritten(block: Any, x: Tensor) -> Tensor:
    value: Tensor = block.norm(block.conv(x).relu_())
    return value


def turned(block: Any, x: Tensor) -> Tensor:
    value: Tensor = block.norm(block.conv(x).transpose(2, 3))
    return value


REFUSED = {
    twice: "`conv` is called 2 times",
    beside: "the result of `conv` is used in the model's own forward too",
    given: "`conv` gives an output",
    by_hand: "its input does not come straight from a convolution with weights of its own",
    lending: "the weights of `conv` are used in the model's own forward",
    overwritten: "the result of `conv` is used in the model's own forward too",
    turned: "the result of `conv` is used in the model's own forward too",
}


@pytest.mark.parametrize("run", REFUSED)
def test_a_norm_whose_input_is_used_elsewhere_stays(run: Callable[[Any, Tensor], Any]) -> None:
    model = used(Block(run)).eval()
    found, report = fold_batch_norms(model, images(2, 3, 6, 6))
    assert report.left == {"norm": REFUSED[run]}
    assert not report.folded
    assert found.state_dict().keys() == model.state_dict().keys()
    assert report.difference.largest == 0


def test_hooks_shared_weights_and_computed_weights_stay() -> None:
    def plain(block: Any, x: Tensor) -> Any:
        return block.norm(block.conv(x))

    def reason(model: nn.Module) -> str:
        (found,) = fold_batch_norms(model, images(2, 3, 6, 6))[1].left.values()
        return found

    model = used(Block(plain))
    assert fold_batch_norms(model, images(2, 3, 6, 6))[1].folded == {"norm": "conv"}
    model.conv.register_forward_hook(lambda *values: None)
    assert reason(model) == "`conv` has hooks"
    model = Block(plain)
    model.norm.register_forward_pre_hook(lambda *values: None)
    assert reason(model) == "it has hooks"
    model = Block(plain)
    parametrizations.weight_norm(model.conv)
    assert "with weights of its own" in reason(model)
    model = Block(plain)
    model.other = nn.Conv2d(3, 4, 3)
    model.other.weight = model.conv.weight
    assert reason(model) == "`conv` shares its weights with `other`"
    model = Block(plain)
    model.norm = nn.BatchNorm2d(4, track_running_stats=False)
    assert reason(model) == "it normalises by the statistics of the batch"

    class Louder(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    model.norm = Louder(4)
    assert reason(model) == "it is a Louder, whose forward is not known"
    wrapped = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.BatchNorm2d(4))
    wrapped[0].register_forward_hook(lambda *values: None)
    assert reason(wrapped) == "the result of `0.0` is seen by a hook of `0`"


def test_in_place_and_back_bit_for_bit() -> None:
    model = used(torchvision.models.mobilenet_v3_small(num_classes=5)).train()
    model.features[0].eval()
    objects = {**dict(model.named_parameters()), **dict(model.named_buffers()), **dict(model.named_modules())}
    modes = [one.training for one in model.modules()]
    x = images(2, 3, 64, 64)
    with torch.no_grad():
        like = copy.deepcopy(model).eval()(x)
        found, report = fold_batch_norms(model, x, inplace=True)
        assert found is model
        assert len(report.folded) == 34
        torch.testing.assert_close(model(x), like)
        assert report.undo() is model
        assert [one.training for one in model.modules()] == modes
        again = {**dict(model.named_parameters()), **dict(model.named_buffers()), **dict(model.named_modules())}
        assert list(again) == list(objects)
        assert all(again[name] is objects[name] for name in objects)
        assert torch.equal(model.eval()(x), like)


def test_composed_networks_need_no_example_and_keep_their_keys() -> None:
    spec = {"backbone": "resnet18", "attention": [{"use": "cbam", "after": "branch"}]}
    model = used(composer.build(spec, num_classes=5, img_size=64)).double()
    found, report = fold_batch_norms(model)
    assert len(report.folded) == 20
    own = {key for key in model.state_dict() if "bn" not in key and "downsample.1" not in key}
    assert own < found.state_dict().keys()
    x = images(2, 3, 64, 64).double()
    torch.testing.assert_close(found(x), model.eval()(x))
    torch.testing.assert_close(pickle.loads(pickle.dumps(found))(x), found(x), rtol=0, atol=0)
    view = composer.features(model, ["layer4"])
    folded = fold_batch_norms(view)[0]
    torch.testing.assert_close(folded(x)["layer4"], view(x)["layer4"])


def test_a_folded_network_does_not_train() -> None:
    found, _ = fold_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), images(1, 3, 4, 4))
    with pytest.raises(composer.InputError, match="does not train"):
        found.train()(images(1, 3, 4, 4))


def test_a_change_that_is_more_than_rounding_is_refused_and_undone() -> None:
    class Hidden(nn.Module):
        """Runs its norm by a reference that is no child's, so that a stand-in is not seen."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.hidden = [self.norm]

        def forward(self, x: Tensor) -> Any:
            return self.hidden[0](self.conv(x))

    model = used(Hidden()).eval()
    x = images(1, 3, 4, 4)
    like = model(x)
    with pytest.raises(composer.InputError, match="more than rounding explains"):
        fold_batch_norms(model, x, inplace=True)
    assert torch.equal(model(x), like)
    assert isinstance(model.norm, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (nn.Linear, "the model is the class Linear"),
        (torch.compile(nn.Linear(2, 2), backend="eager"), "the model is compiled"),
        (torch.nn.DataParallel(nn.Linear(2, 2)), "spread over devices"),
        (nn.Linear(2, 2, device="meta"), "on the meta device"),
        (nn.LazyLinear(2), "no sizes yet"),
        (nn.Linear(2, 2), "cannot run on the example: RuntimeError"),
    ],
)
def test_what_cannot_be_folded_is_said(model: Any, text: str) -> None:
    with pytest.raises(composer.InputError, match=text):
        fold_batch_norms(model, images(1, 3))


def test_without_an_example_a_plain_module_is_refused() -> None:
    with pytest.raises(composer.InputError, match="nothing says what `Linear` is called with"):
        fold_batch_norms(nn.Linear(2, 2))
