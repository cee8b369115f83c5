"""Files as training codes write them, loaded with no option: the outputs are those of the network that was saved."""

from __future__ import annotations

import argparse
import collections
import warnings

import pytest
import timm
import timm.optim
import timm.utils
import torch
import torchvision
from torch import nn

import composer

SMALL = {"backbone": "resnet18", "vars": {"depths": [1, 1, 1, 1], "num_classes": 10}, "input": [3, 32, 32]}
VIT = {
    "backbone": "vit_tiny_patch16_224",
    "vars": {"dim": 24, "depth": 2, "num_heads": 3, "patch": 8, "num_classes": 10},
    "input": [3, 32, 32],
}


def spread(model: nn.Module) -> nn.Module:
    """Weights and statistics that are nobody's default, so that a swapped pair shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and "table" not in name:
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(noise + 0.5 if "running_var" in name else (noise - 0.5) * 0.2)
    return model.eval()


def resnet(**options) -> nn.Module:
    block = torchvision.models.resnet.BasicBlock
    return spread(torchvision.models.ResNet(block, [1, 1, 1, 1], num_classes=10, **options))


def started() -> nn.Module:
    """The same network with other weights."""
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)


def vit(**options) -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 10}
    return spread(timm.models.VisionTransformer(**sizes, **options))


def under(prefix: str, tensors, but: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items() if not name.startswith(but or ("?",))}


def filled(spec, content, tmp_path, name="w.pth"):
    """A network filled from a file with this content, and what was said of it."""
    path = tmp_path / name
    if isinstance(content, dict):
        torch.save(content, path)
    model = composer.build(spec, seed=3).eval()
    return model, composer.load_weights(model, path)


def same(model, peer, *, size=32, features=False, rounded=False) -> None:
    """Equal outputs; of what comes before the classifier where the file has none."""
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    if rounded:
        # Other kernels of attention round otherwise.
        model, peer, x = model.double(), peer.double(), x.double()
    with torch.no_grad():
        ours = model.forward_features(x) if features else model(x)
        theirs = peer(x)
    theirs = getattr(theirs, "logits", theirs)
    if rounded:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    else:
        assert torch.equal(ours, theirs)


def body(peer: nn.Module) -> nn.Module:
    return nn.Sequential(*list(peer.children())[:-2])


NECK = {"neck.lateral_convs.0.conv.weight": torch.ones(4, 3), "rpn_head.rpn_cls.bias": torch.ones(3)}


@pytest.mark.parametrize(
    "prefix",
    [
        *("backbone.", "encoder.", "net.", "network.", "encoder_q.", "backbone.0.body.", "backbone.body.", "module."),
        *("model.", "_orig_mod.", "module.backbone.", "model.net.0.", "module.model.encoder.", "student.trunk."),
    ],
)
@pytest.mark.parametrize("beside", [{}, NECK, {"total": torch.tensor(3), "loss.weight": torch.ones(10)}])
def test_one_prefix_under_which_the_file_fills_the_network(tmp_path, prefix, beside):
    peer = resnet()
    model, report = filled(SMALL, {**under(prefix, peer.state_dict()), **beside}, tmp_path)
    assert (report.prefix, set(report.loaded)) == (prefix, set(model.state_dict()))
    assert set(report.left_over) | set(report.computed) == set(beside)
    same(model, peer)


@pytest.mark.parametrize(
    "copy",
    ["model_ema.module.", "ema.", "net_ema.", "encoder_k."],
)
def test_an_averaged_copy_beside_the_network(tmp_path, copy):
    peer, other = resnet(), started()
    content = {**under("net.", peer.state_dict()), **under(copy, other.state_dict())}
    model, report = filled(SMALL, content, tmp_path)
    assert report.prefix == "net."
    assert f"averaged weights fit as well: names that begin with `{copy}`; take them with --ema" in str(report)
    same(model, peer)
    model = composer.build(SMALL, seed=3).eval()
    assert composer.load_weights(model, tmp_path / "w.pth", ema=True).prefix == copy
    same(model, other.eval())


@pytest.mark.parametrize(
    "entry", ["teacher", "student", "params", "params_ema", "weights", "network", "model_state", "ema", "my_own.best"]
)
def test_entries(tmp_path, entry):
    peer = resnet()
    outer, _, inner = entry.partition(".")
    tensors = under("module.", peer.state_dict())
    model, report = filled(SMALL, {outer: {inner: tensors} if inner else tensors, "epoch": 3}, tmp_path)
    assert (report.entry, report.prefix) == (entry, "module.")
    same(model, peer)


@pytest.mark.parametrize("averaged", ["ema", "params_ema", "ema_state_dict"])
def test_averaged_weights_on_request(tmp_path, averaged):
    peer = resnet()
    torch.save({"model": {"fc.bias": torch.ones(10)}, averaged: peer.state_dict()}, tmp_path / "w.pth")
    model = composer.build(SMALL).eval()
    assert composer.load_weights(model, tmp_path / "w.pth", ema=True).entry == averaged
    same(model, peer)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (lambda a, b: {"student": under("module.", b), "teacher": a}, ("--entry teacher", "--entry student")),
        (lambda a, b: {"params": a, "params_ema": b}, ("--entry params", "--entry params_ema")),
        (lambda a, b: {**under("net_a.", a), **under("net_b.", b)}, ("--prefix net_a.", "--prefix net_b.")),
    ],
)
def test_two_that_fit_are_refused_with_both_named(tmp_path, refused, content, options):
    peer, other = resnet(), started()
    torch.save(content(peer.state_dict(), other.state_dict()), tmp_path / "w.pth")
    message = refused(composer.build(SMALL), tmp_path / "w.pth")
    assert " or ".join(options) in message
    for option, wanted in zip(options, (peer, other.eval()), strict=True):
        name, value = option.removeprefix("--").split()
        model = composer.build(SMALL, weights={"source": str(tmp_path / "w.pth"), name: value}).eval()
        same(model, wanted)
    torch.save(content(peer.state_dict(), peer.state_dict()), tmp_path / "w.pth")
    composer.load_weights(composer.build(SMALL), tmp_path / "w.pth")


def test_an_entry_or_a_prefix_that_is_not_there(tmp_path, refused):
    torch.save({"student": under("module.", resnet().state_dict())}, tmp_path / "w.pth")
    model = composer.build(SMALL)
    assert "has no entry `teacher` with tensors" in refused(model, tmp_path / "w.pth", entry="teacher")
    assert "one of `student`" in refused(model, tmp_path / "w.pth", entry="teacher")
    assert "no name in" in refused(model, tmp_path / "w.pth", prefix="encoder.")
    assert "such as `module.`" in refused(model, tmp_path / "w.pth", prefix="encoder.")


def test_nothing_that_fits_is_refused_whatever_was_required(tmp_path, refused, run):
    torch.save({"other": torch.zeros(3)}, tmp_path / "w.pth")
    assert "have nothing that fits `resnet18`" in refused(composer.build(SMALL), tmp_path / "w.pth", require="any")
    (tmp_path / "net.yaml").write_text("backbone: resnet18\nweights: {source: w.pth, require: any}\n")
    result = run("build", str(tmp_path / "net.yaml"))
    assert result.code == 1
    assert "have nothing that fits `resnet18`; nothing was loaded" in result.err


@pytest.mark.parametrize("wider", [[2, 1, 1, 1], [1, 1, 3, 1]])
def test_a_deeper_network_is_not_taken_for_one_with_something_beside(tmp_path, refused, wider):
    deeper = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, wider, num_classes=10)
    for prefix in ("", "backbone."):
        message = refused(composer.build(SMALL), under(prefix, deeper.state_dict()))
        assert "tensors that the network has not" in message


def test_attention_in_the_file_is_not_left_over(refused):
    spec = {**SMALL, "attention": [{"use": "se", "after": "branch"}]}
    message = refused(composer.build(SMALL), composer.build(spec).state_dict())
    assert "that the network has not: `layer1.0.se." in message


# The layouts of training codes, each as its repository writes it.


def test_mmpretrain(tmp_path):
    peer = resnet()
    tensors = {**under("backbone.", peer.state_dict(), ("fc",)), **under("head.", peer.fc.state_dict(prefix="fc."))}
    content = {"meta": {"epoch": 3}, "state_dict": tensors, "message_hub": {}, "optimizer": {"state": {}}}
    model, report = filled(SMALL, content, tmp_path)
    assert (report.prefix, report.keys) == ("backbone.", "mmpretrain_resnet")
    same(model, peer)


def test_mmdet(tmp_path):
    peer = resnet()
    content = {"state_dict": {**under("backbone.", peer.state_dict(), ("fc",)), **NECK}, "meta": {"CLASSES": ("cat",)}}
    model, report = filled(SMALL, content, tmp_path)
    assert "2 left over, which no backbone has: `neck.*`, `rpn_head.*`" in str(report)
    assert [head.found for head in report.heads] == [None]
    same(model, body(peer), features=True)


def test_detr(tmp_path):
    peer = resnet(norm_layer=torchvision.ops.FrozenBatchNorm2d)
    tensors = under("backbone.0.body.", peer.state_dict(), ("fc",))
    other = {"transformer.encoder.layers.0.linear1.weight": torch.ones(2, 2), "class_embed.bias": torch.ones(92)}
    content = {"model": {**other, **tensors}, "args": argparse.Namespace(lr=1e-4), "epoch": 3, "optimizer": {}}
    model, report = filled(SMALL, content, tmp_path)
    assert (report.prefix, len(report.left_over)) == ("backbone.0.body.", 2)
    # Its frozen norms multiply and add in another order.
    same(model, body(peer), features=True, rounded=True)


@pytest.mark.parametrize(
    ("query", "key"), [("module.encoder_q.", "module.encoder_k."), ("module.base_encoder.", "module.momentum_encoder.")]
)
def test_moco(tmp_path, query, key):
    peer = resnet()
    head = {"fc.0.weight": torch.ones(4, 512), "fc.2.weight": torch.ones(4, 4)}
    tensors = {**under(query, peer.state_dict(), ("fc",)), **under(query, head)}
    tensors |= under(key, started().state_dict(), ("fc",))
    tensors |= {"module.queue": torch.ones(4, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    model, report = filled(SMALL, {"epoch": 200, "arch": "resnet18", "state_dict": tensors, "optimizer": {}}, tmp_path)
    assert report.prefix == query
    assert f"names that begin with `{key}`" in str(report)
    same(model, body(peer), features=True)


def test_dino(tmp_path):
    peer = vit()
    tensors = under("module.backbone.", peer.state_dict(), ("head",))
    tensors |= {"module.head.mlp.0.weight": torch.ones(8, 24), "module.head.last_layer.weight_v": torch.ones(9, 8)}
    content = {
        "teacher": tensors,
        "epoch": 3,
        "args": argparse.Namespace(arch="vit_tiny"),
        "dino_loss": {"center": torch.ones(1, 9)},
    }
    model, report = filled(VIT, content, tmp_path)
    assert (report.entry, report.prefix) == ("teacher", "module.backbone.")
    peer.reset_classifier(0)
    same(model, lambda x: peer.forward_features(x), features=True)


def test_mae(tmp_path):
    peer = vit()
    decoder = {
        "mask_token": torch.ones(1, 1, 8),
        "decoder_pos_embed": torch.ones(1, 17, 8),
        "decoder_embed.weight": torch.ones(8, 24),
        "decoder_blocks.0.norm1.weight": torch.ones(8),
        "decoder_norm.weight": torch.ones(8),
        "decoder_pred.bias": torch.ones(192),
    }
    content = {
        "model": {**under("", peer.state_dict(), ("head",)), **decoder},
        "optimizer": {},
        "scaler": {},
        "args": argparse.Namespace(),
    }
    model, report = filled(VIT, content, tmp_path)
    assert set(report.left_over) == set(decoder)
    same(model, lambda x: peer.forward_features(x), features=True)


def test_lightning(tmp_path):
    import lightning

    class Task(lightning.LightningModule):
        def __init__(self, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.net = resnet()
            self.register_buffer("class_weights", torch.ones(10))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
        trainer.strategy.connect(task := Task())
        trainer.save_checkpoint(tmp_path / "w.ckpt")
    model, report = filled(SMALL, None, tmp_path, "w.ckpt")
    assert (report.entry, report.prefix, report.left_over) == ("state_dict", "net.", ("class_weights",))
    same(model, task.net)


def test_segmentation_models_pytorch(tmp_path):
    import segmentation_models_pytorch as smp

    peer = spread(smp.Unet("resnet18", encoder_weights=None))
    spec = {"backbone": "resnet18", "input": [3, 32, 32]}
    model, report = filled(spec, peer.state_dict(), tmp_path)
    assert (report.prefix, report.keys) == ("encoder.", "")
    assert {name.partition(".")[0] for name in report.left_over} == {"decoder", "segmentation_head"}
    same(model, lambda x: peer.encoder(x)[-1], features=True)


def test_timms_trainer(tmp_path):
    model = timm.models.ResNet(timm.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)
    peer, averaged = spread(model), timm.utils.ModelEmaV3(model)
    optimizer = timm.optim.create_optimizer_v2(peer, "sgd")
    args = argparse.Namespace(model="resnet10t", lr=0.1)
    saver = timm.utils.CheckpointSaver(
        peer, optimizer, args=args, model_ema=averaged, checkpoint_dir=str(tmp_path), recovery_dir=str(tmp_path)
    )
    with torch.no_grad():
        peer.fc.bias += 1
    saver.save_checkpoint(3, 76.5)
    model, report = filled(SMALL, None, tmp_path, "last.pth.tar")
    assert report.entry == "state_dict"
    assert "averaged weights fit as well: entry `state_dict_ema`" in str(report)
    same(model, peer)
    model = composer.build(SMALL).eval()
    composer.load_weights(model, tmp_path / "last.pth.tar", ema=True)
    same(model, averaged.module.eval())


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kind", ["resnet", "convnext", "swin", "vit", "deit"])
def test_transformers(tmp_path, kind, file):
    import transformers

    layers = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
    layers |= {"image_size": 32, "patch_size": 8, "layer_norm_eps": 1e-6}
    convnext = {"depths": [1, 1, 2, 1], "widths": [8, 16, 24, 32]}
    swin = {"dim": 24, "depths": [2, 2, 2, 2], "heads": [1, 2, 3, 6]}
    vars = {"dim": 24, "depth": 2, "num_heads": 3, "patch": 8}
    config, network, spec, size = {
        "resnet": (
            {"embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "depths": [1, 1, 1, 1], "layer_type": "basic"},
            "ResNetForImageClassification",
            SMALL,
            32,
        ),
        "convnext": (
            {"hidden_sizes": convnext["widths"], "depths": convnext["depths"], "layer_norm_eps": 1e-6},
            "ConvNextForImageClassification",
            {"backbone": "convnext_tiny", "vars": convnext, "input": [3, 64, 64]},
            64,
        ),
        "swin": (
            {"embed_dim": 24, "depths": swin["depths"], "num_heads": swin["heads"], "layer_norm_eps": 1e-5},
            "SwinForImageClassification",
            {"backbone": "swin_tiny_patch4_window7_224", "vars": swin},
            224,
        ),
        "vit": (
            layers,
            "ViTForImageClassification",
            {"backbone": "vit_tiny_patch16_224", "vars": vars, "input": [3, 32, 32]},
            32,
        ),
        "deit": (
            layers,
            "DeiTForImageClassificationWithTeacher",
            {"backbone": "deit_tiny_distilled_patch16_224", "vars": vars, "input": [3, 32, 32]},
            32,
        ),
    }[kind]
    spec = {**spec, "vars": {**spec["vars"], "num_classes": 10}}
    name = network.partition("For")[0]
    peer = spread(getattr(transformers, network)(getattr(transformers, f"{name}Config")(**config, num_labels=10)))
    peer.save_pretrained(tmp_path)
    if file.endswith(".bin"):
        # Modules have other names than files: both are met with.
        torch.save(peer.state_dict(), tmp_path / file)
    model, report = filled(spec, None, tmp_path, file)
    assert report.keys == f"transformers_{kind}{'_distilled' if kind == 'deit' else ''}"
    assert set(report.loaded) >= {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    same(model, peer, size=size, rounded=True)


def renamed(tensors, pairs: dict[str, str]) -> dict[str, torch.Tensor]:
    """Names with each of these beginnings, or parts, put for another."""
    found = {}
    for name, tensor in tensors.items():
        for old, new in pairs.items():
            name = name.replace(old, new)
        found[name] = tensor
    return found


def official_convnext(tensors) -> dict[str, torch.Tensor]:
    pairs = {"stem.": "downsample_layers.0.", "head.norm": "norm", "head.fc": "head"}
    pairs |= {f"stages.{i}.downsample": f"downsample_layers.{i}" for i in (1, 2, 3)}
    return renamed(tensors, {**pairs, ".blocks": "", "conv_dw": "dwconv", "mlp.fc": "pwconv"})


def test_the_authors_convnext(tmp_path):
    sizes = {"depths": [1, 1, 2, 1], "widths": [8, 16, 24, 32], "num_classes": 10}
    peer = spread(timm.models.ConvNeXt(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), num_classes=10))
    content = {"model": official_convnext(peer.state_dict())}
    assert {name.split(".")[0] for name in content["model"]} == {"downsample_layers", "stages", "norm", "head"}
    model, report = filled({"backbone": "convnext_tiny", "vars": sizes, "input": [3, 64, 64]}, content, tmp_path)
    assert report.keys == "official_convnext"
    same(model, peer, size=64)


def test_the_authors_swin(tmp_path):
    sizes = {"dim": 24, "depths": [2, 2, 2, 2], "heads": [1, 2, 3, 6], "num_classes": 10}
    peer = spread(
        timm.models.SwinTransformer(embed_dim=24, depths=(2, 2, 2, 2), num_heads=(1, 2, 3, 6), num_classes=10)
    )
    pairs = {f"layers.{i}.downsample": f"layers.{i - 1}.downsample" for i in (1, 2, 3)}
    tensors = renamed(peer.state_dict(), {**pairs, "head.fc": "head"})
    for name in [name for name in tensors if name.endswith("bias_table")]:
        tensors[name.replace("bias_table", "index")] = torch.zeros(49, 49, dtype=torch.long)
    tensors["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    spec = {"backbone": "swin_tiny_patch4_window7_224", "vars": sizes}
    model, report = filled(spec, {"model": tensors, "optimizer": {}, "lr_scheduler": {}, "config": {}}, tmp_path)
    assert report.keys == "official_swin"
    assert len(report.computed) == 9
    same(model, peer, size=224, rounded=True)


def test_the_authors_vit(tmp_path):
    peer = vit()
    model, report = filled(VIT, {"model": peer.state_dict(), "scaler": {"scale": 1.0}}, tmp_path)
    assert (report.entry, report.keys) == ("model", "")
    same(model, peer)


def test_mmpretrains_transformers(tmp_path):
    peer = vit()
    pairs = {"patch_embed.proj": "patch_embed.projection", "norm1": "ln1", "norm2": "ln2", "blocks.": "layers."}
    pairs |= {"mlp.fc1": "ffn.layers.0.0", "mlp.fc2": "ffn.layers.1"}
    tensors = under("backbone.", renamed(under("", peer.state_dict(), ("head", "norm.")), pairs))
    tensors |= under("backbone.ln1.", peer.norm.state_dict()) | under("head.layers.head.", peer.head.state_dict())
    model, report = filled(VIT, {"state_dict": tensors, "meta": {}}, tmp_path)
    assert report.keys == "mmpretrain_vit"
    same(model, peer)


def test_mmpretrains_convnext(tmp_path):
    peer = spread(timm.models.ConvNeXt(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), num_classes=10))
    pairs = {"dwconv": "depthwise_conv", "pwconv": "pointwise_conv"}
    tensors = renamed(official_convnext(peer.state_dict()), pairs)
    inner = {name.replace("norm.", "norm3.") if name.startswith("norm.") else name: tensors[name] for name in tensors}
    tensors = under("backbone.", inner, ("head",)) | under("head.fc.", peer.head.fc.state_dict())
    sizes = {"depths": [1, 1, 2, 1], "widths": [8, 16, 24, 32], "num_classes": 10}
    spec = {"backbone": "convnext_tiny", "vars": sizes, "input": [3, 64, 64]}
    model, report = filled(spec, {"state_dict": tensors}, tmp_path)
    assert report.keys == "mmpretrain_convnext"
    same(model, peer, size=64)


def test_fastai(tmp_path):
    peer = resnet()
    order = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    tensors = {
        f"0.{order[name.partition('.')[0]]}.{name.partition('.')[2]}": tensor
        for name, tensor in under("", peer.state_dict(), ("fc",)).items()
    }
    tensors["1.8.weight"] = torch.ones(10, 512)
    model, report = filled(SMALL, {"model": tensors, "opt": {"hypers": [{"lr": 0.1}]}}, tmp_path)
    assert (report.prefix, report.keys) == ("0.", "sequential_resnet")
    same(model, body(peer), features=True)


def test_a_sequence_of_the_children(tmp_path):
    peer = resnet()
    whole = nn.Sequential(*list(peer.children()))
    model, report = filled(SMALL, whole.state_dict(), tmp_path)
    assert report.keys == "sequential_resnet"
    same(model, peer)


def test_the_second_file_of_a_kind_is_a_mapping_in_order(tmp_path):
    peer = resnet()
    content = {"model": collections.OrderedDict(under("backbone.", peer.state_dict()))}
    model, report = filled(SMALL, content, tmp_path, "w.bin")
    assert report.prefix == "backbone."
    same(model, peer)
