"""What other tools do with a model that has insertions, at the ends of blocks and between their steps."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations

import composer
from tests.hosts.nets import IDENTITY, IMAGES, Net, equal

END = {"use": "se", "after": "blocks.*", **IDENTITY}
BETWEEN = {"use": "se", "after": "blocks.*.bn1", **IDENTITY}
BOTH = pytest.mark.parametrize("rule", [END, BETWEEN, {"use": "se", "after": "blocks", **IDENTITY}])
# Of a residual network of timm's.
RULES = {
    "end": {"use": "se", "after": "layer*.*"},
    "between": {"use": "se", "after": "layer*.*.bn2"},
    "beside": {"use": "se", "after": "maxpool"},
}
PHOTOS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def changed(model: Any, rule: Any, images: Any = IMAGES) -> Any:
    composer.insert(model.eval(), rule, images)
    for parameter in composer.inserted(model):
        if parameter.shape == (1,):
            parameter.data.fill_(0.5)
    return model


@BOTH
def test_copies_and_pickles_are_whole(rule: Any) -> None:
    model = changed(Net(), rule)
    copied = copy.deepcopy(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (copied, torch.load(file, weights_only=False)):
        assert equal(other(IMAGES), model(IMAGES))
        assert type(other.blocks[0]) is type(model.blocks[0])
        assert composer.check(other) == []
        composer.remove(other)
        assert list(other.state_dict()) == list(Net().state_dict())
    assert composer.check(model) == []
    assert equal(model.to(torch.bfloat16)(IMAGES.bfloat16()), copy.deepcopy(model)(IMAGES.bfloat16()))


@pytest.mark.slow
def test_a_pickle_loads_where_nothing_was_imported(tmp_path: Path) -> None:
    model = timm.create_model("resnet18")
    changed(model, list(RULES.values()), PHOTOS)
    torch.save((model, PHOTOS, model(PHOTOS)), tmp_path / "model.pt")
    code = (
        f"import torch; model, x, y = torch.load({str(tmp_path / 'model.pt')!r}, weights_only=False)\n"
        "import composer; print(torch.equal(model(x), y), composer.check(model)); composer.remove(model)\n"
        "print(type(model.layer1[0]), 'se' in ' '.join(model.state_dict()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True []", "<class 'timm.models.resnet.BasicBlock'> False"]


@BOTH
@pytest.mark.filterwarnings("ignore:`torch.jit.trace:FutureWarning")
def test_tracers_see_what_runs(rule: Any) -> None:
    model = changed(Net(), rule)
    plain = model(IMAGES)
    assert torch.allclose(torch.fx.symbolic_trace(model)(IMAGES), plain, atol=1e-6)
    assert torch.allclose(torch.jit.trace(model, IMAGES)(IMAGES), plain, atol=1e-6)
    exported = torch.export.export(model, (IMAGES,), strict=False).module()
    assert torch.allclose(exported(IMAGES), plain, atol=1e-6)
    assert torch.allclose(functional_call(model, dict(model.named_parameters()), (IMAGES,)), plain, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_compilers_take_the_whole_graph(rule: Any) -> None:
    # Scales of zero behind the branches would hide what is between.
    model = changed(timm.create_model("resnet18", zero_init_last=False), rule, PHOTOS)
    plain = model(PHOTOS)
    exported = torch.export.export(model, (PHOTOS,), strict=True).module()
    assert torch.allclose(exported(PHOTOS), plain, atol=1e-5)
    # Compiled before the insertion, it runs the insertion all the same.
    late = timm.create_model("resnet18").eval()
    late.load_state_dict(model.state_dict(), strict=False)
    compiled = torch.compile(late, fullgraph=True, backend="aot_eager")
    first = compiled(PHOTOS)
    changed(late, rule, PHOTOS)
    late.load_state_dict(model.state_dict())
    assert not torch.allclose(first, plain, atol=1e-5)
    assert torch.allclose(compiled(PHOTOS), plain, atol=1e-4)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_timm_methods_and_averages_run_it(rule: Any) -> None:
    model = changed(timm.create_model("resnet18"), rule, PHOTOS)
    plain = model(PHOTOS)
    features = model.forward_intermediates(PHOTOS, intermediates_only=True)
    assert torch.allclose(model.forward_head(features[-1]), plain, atol=1e-5)
    assert torch.allclose(model.forward_head(model.forward_features(PHOTOS)), plain, atol=1e-5)
    average = torch.optim.swa_utils.AveragedModel(model)
    average.update_parameters(model)
    assert torch.equal(average(PHOTOS), plain)
    assert composer.check(average) == []
    model.train().set_grad_checkpointing(True)
    model(PHOTOS).sum().backward()
    assert all(parameter.grad is not None for parameter in composer.inserted(model))
    maps = timm.create_model("resnet18", features_only=True)
    composer.insert(maps, rule, PHOTOS)
    assert len(maps(PHOTOS)) == 5


@BOTH
def test_other_swaps_of_classes_come_on_top(rule: Any) -> None:
    model = changed(Net(), rule)
    plain = model(IMAGES)
    parametrizations.weight_norm(model.blocks[0].conv1)
    assert torch.allclose(model(IMAGES), plain, atol=1e-5)
    parametrizations.weight_norm(
        next(one for one in model.blocks[1].modules() if isinstance(one, nn.Linear | nn.Conv2d))
    )
    assert composer.check(model) == []


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_low_rank_adapters_go_below_it(rule: Any) -> None:
    peft = pytest.importorskip("peft")
    model = changed(timm.create_model("resnet18"), rule, PHOTOS)
    plain = model(PHOTOS)
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=r".*(conv2|fc1)$", r=2))
    assert equal(adapted(PHOTOS), plain)
    assert composer.check(adapted) == []
    assert any("_se.fc1.lora" in name or "se.fc1.lora" in name for name in adapted.state_dict())
    merged = adapted.merge_and_unload()
    assert torch.allclose(merged(PHOTOS), plain, atol=1e-5)


def test_conversions_of_a_changed_layer_are_noticed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Undecided())
    rule = {"use": "se", "after": "1.bn", **IDENTITY}
    with pytest.warns(UserWarning, match="convert_sync_batchnorm would drop it"):
        composer.insert(model, rule, IMAGES)
    assert composer.check(model) == []
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert composer.check(converted) == ["`1.bn` is a plain SyncBatchNorm now, which does not run what was inserted"]


class Undecided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x) * 2 if x.shape[-1] > 3 else x
