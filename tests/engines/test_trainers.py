"""Lightning, accelerate and transformers train, save and load a composed network as they do timm's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import accelerate
import lightning
import pytest
import torch
import transformers
from engines.networks import Network, among, images, ours, their_name, theirs
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedConfig, PreTrainedModel, TimmWrapperConfig, TimmWrapperForImageClassification
from transformers.modeling_outputs import ImageClassifierOutput

import composer


@pytest.fixture(scope="module", autouse=True)
def quiet():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


class Images(Dataset):
    """Four images, each of a class of its own."""

    def __init__(self, network: Network) -> None:
        self.images = images(network, 4).double()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor | int]:
        return {"pixel_values": self.images[index], "labels": index}


def same_as_timms(network: Network, train: Callable[[nn.Module, str], None]) -> nn.Module:
    """Train both networks alike, in double precision, which training magnifies less; ours is returned."""
    trained = []
    for make in (ours, theirs):
        model = make(network).double().train()
        before = copy.deepcopy(model)
        # Dropped paths are drawn alike.
        torch.manual_seed(0)
        train(model, make.__name__)
        assert not torch.equal(next(model.parameters()), next(before.parameters()))
        trained.append(model.eval())
    found, wanted = (dict(one.named_parameters()) for one in trained)
    # Not statistics: CBAM's authors and composer follow a batch ten times more slowly than timm.
    for name, one in found.items():
        torch.testing.assert_close(one, wanted[their_name(name)], rtol=1e-6, atol=1e-8)
    return trained[0]


def fresh(network: Network) -> composer.ComposedModule:
    return composer.build(network.spec, dtype=torch.float64)


@torch.no_grad()
def same(one: nn.Module, other: nn.Module, network: Network) -> None:
    """The same state, and so the same outputs, but for how tensors read from a file lie in memory."""
    for kind in (nn.Module.named_parameters, nn.Module.named_buffers):
        found, wanted = dict(kind(one)), dict(kind(other))
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    x = images(network).double()
    torch.testing.assert_close(one.eval()(x), other.eval()(x))


class Lit(lightning.LightningModule):
    """A LightningModule around a network, as people write it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return cross_entropy(self.network(batch["pixel_values"]), batch["labels"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def test_lightning(network, tmp_path):
    def train(model: nn.Module, name: str) -> None:
        quiet = {"precision": "64-true", "logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = lightning.Trainer(max_steps=2, accelerator="cpu", default_root_dir=tmp_path, **quiet)
        trainer.fit(Lit(model), DataLoader(Images(network), batch_size=2))
        trainer.save_checkpoint(tmp_path / f"{name}.ckpt")

    model = same_as_timms(network, train)
    again = Lit.load_from_checkpoint(tmp_path / "ours.ckpt", network=fresh(network))
    same(again.network, model, network)
    # The file is one that composer reads without Lightning, too.
    other = fresh(network)
    composer.load_weights(other, tmp_path / "ours.ckpt")
    same(other, model, network)


def test_accelerate(network, tmp_path):
    def train(model: nn.Module, name: str) -> None:
        accelerator, x = accelerate.Accelerator(cpu=True), images(network, 4).double()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        prepared, optimizer = accelerator.prepare(model, optimizer)
        assert accelerator.unwrap_model(prepared) is model
        for step in range(3):
            if step == 2:
                accelerator.save_state(tmp_path / name)
                kept = copy.deepcopy(model.state_dict())
            optimizer.zero_grad()
            accelerator.backward(cross_entropy(prepared(x), torch.arange(4)))
            optimizer.step()
        accelerator.load_state(tmp_path / name)
        assert all(torch.equal(one, kept[key]) for key, one in model.state_dict().items())

    model = same_as_timms(network, train)
    with accelerate.init_empty_weights():
        empty = fresh(network)
    assert all(one.is_meta for one in empty.parameters())
    file = str(tmp_path / "ours" / "model.safetensors")
    same(accelerate.load_checkpoint_and_dispatch(empty, file, device_map={"": "cpu"}), model, network)


class Config(PreTrainedConfig):
    model_type = "composed"

    def __init__(self, spec: dict | str = "resnet18", **options) -> None:
        super().__init__(**options)
        self.spec = spec


class Composed(PreTrainedModel):
    """A composed network as a model of transformers', saved and loaded as its spec and its weights."""

    config_class = Config
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True

    def __init__(self, config: Config, network: nn.Module | None = None) -> None:
        super().__init__(config)
        self.network = network or composer.build(config.spec)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        # Loading leaves garbage in what no file holds; weights are drawn already.
        if hasattr(module, "init_non_persistent_buffers"):
            module.init_non_persistent_buffers()

    def _set_gradient_checkpointing(self, enable: bool = True, **options) -> None:
        self.network.set_grad_checkpointing(enable)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        logits = self.network(pixel_values)
        return ImageClassifierOutput(loss=None if labels is None else cross_entropy(logits, labels), logits=logits)


def arguments(folder: Path, **options) -> transformers.TrainingArguments:
    quiet = {"report_to": [], "disable_tqdm": True, "logging_strategy": "no", "use_cpu": True, "optim": "sgd"}
    return transformers.TrainingArguments(
        str(folder), per_device_train_batch_size=2, save_steps=1, learning_rate=1e-2, **quiet, **options
    )


def test_transformers_trainer(network, tmp_path):
    def train(model: nn.Module, name: str) -> None:
        wrapped, folder = Composed(Config(network.spec), model), tmp_path / name
        transformers.Trainer(wrapped, arguments(folder, max_steps=2), train_dataset=Images(network)).train()
        wrapped.save_pretrained(folder / "saved")

    model = same_as_timms(network, train)
    again, info = Composed.from_pretrained(tmp_path / "ours" / "saved", dtype=torch.float64, output_loading_info=True)
    assert not any(info.values())
    same(again.network, model, network)
    assert type(again.network) is type(model)
    options = arguments(tmp_path / "ours", max_steps=3, gradient_checkpointing=True)
    trainer = transformers.Trainer(again, options, train_dataset=Images(network))
    trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 3


@torch.no_grad()
def through_transformers(backbone: str, folder: Path) -> None:
    """Make a backbone by transformers' wrapper of timm, save it and load it, which starts on the meta device."""
    model = TimmWrapperForImageClassification(TimmWrapperConfig(architecture=f"composer_{backbone}", num_labels=7))
    assert isinstance(model.timm_model, composer.ComposedModule)
    assert model.supports_gradient_checkpointing
    model.eval().save_pretrained(folder)
    again, info = TimmWrapperForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    for kind in (nn.Module.named_parameters, nn.Module.named_buffers):
        wanted = dict(kind(model))
        assert all(torch.equal(one, wanted[key]) for key, one in kind(again))
    # Tokens or windows have their places in one size alone.
    fixed = ("biformer", "botnet", "cait", "coatnet", "deit", "eva02", "hiera", "maxvit", "mixer", "swin", "vit")
    size = composer.load(backbone).inputs["input"].shape[1] if backbone.startswith(fixed) else 96
    x = torch.randn(1, 3, size, size)
    torch.testing.assert_close(again.eval()(x).logits, model(x).logits)


# timm's registry has composer's backbones, not specs with attention.
@among(lambda one: one.name in composer.list_backbones())
def test_transformers_wrapper_of_timm(network, tmp_path):
    composer.register_with_timm()
    through_transformers(network.name, tmp_path)


@pytest.mark.slow
def test_from_pretrained_of_every_backbone(tmp_path):
    composer.register_with_timm()
    failures = {}
    for backbone in composer.list_backbones():
        try:
            with TemporaryDirectory(dir=tmp_path) as folder:
                through_transformers(backbone, Path(folder))
        except Exception as error:
            failures[backbone] = error
    assert not failures
