"""What is ejected computes what was composed, bit for bit, and reads as formatted PyTorch."""

from __future__ import annotations

import ast
import gc
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import composer
from composer.spec import zoo
from tests.ejecting.compared import compare, loaded, network_of

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"img_size": 64, "num_classes": 10}
# One of each construct: sources, and what they are composed with.
CASES = {
    "cbam": ({"backbone": "resnet18", "attention": [{"use": "cbam", "after": "branch"}]}, SMALL),
    "bottleneck": ("papers/cbam/resnet50", SMALL),
    "se": ("mobilenetv3_small_100", SMALL),
    "dense": ("densenet121", SMALL),
    "convnext": ("convnext_tiny", SMALL),
    "vit": ("vit_tiny_patch16_224", SMALL),
    "swin": ("swin_tiny_patch4_window7_224", {"img_size": 224}),
    "mobilevit": ("mobilevit_xxs", SMALL),
    "hrnet": ("hrnet_w18_small", SMALL),
    "resnest": ("resnest14d", SMALL),
    "nfnet": ("dm_nfnet_f0", SMALL),
    "hiera": ("hiera_tiny_224", {}),
    "dynconv": ("papers/dynconv/mobilenetv2_050", SMALL),
    "lsk": ("lsknet_t", SMALL),
    "pyramid": ({"backbone": "resnet18", "outputs": "levels"}, {"img_size": 64}),
    "identity": ({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch", "start": "identity"}]}, SMALL),
    "some": ({"backbone": "resnet18", "attention": [{"use": "eca", "after": "block", "where": "stage >= 3"}]}, SMALL),
    "tokens": ({"backbone": "vit_tiny_patch16_224", "attention": [{"use": "se", "after": "branch"}]}, SMALL),
    **{
        name: (EXAMPLES / f"{name}.yaml", {})
        for name in (
            *("attention_unet", "share", "share_by_rule", "training_outputs", "two_encoders", "windows"),
            *("video", "cross_attention", "several_in_a_repeat", "encoder_and_decoder"),
        )
    },
}
LONG = ("bottleneck", "dense", "swin", "hrnet", "nfnet", "hiera", "lsk", "convnext", "several_in_a_repeat")
READ = ("cbam", "vit", "attention_unet", "pyramid", "share_by_rule", "identity", "tokens")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in CASES])
def test_it_is_the_same_bit_for_bit(name, tmp_path):
    source, options = CASES[name]
    model = composer.build(source, kernels="reference", **options)
    compare(model, network_of(loaded(composer.eject(model.graph), tmp_path))())


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_the_whole_catalogue(name, tmp_path):
    graph = composer.compose(name)
    if graph.num_parameters > 120_000_000 or (graph.num_macs or 0) > 30_000_000_000:
        pytest.skip("two of it, with gradients, need more memory than a small machine has")
    model = composer.build(name, kernels="reference")
    compare(model, network_of(loaded(composer.eject(model.graph), tmp_path))())
    gc.collect()


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder with a file for each of some networks."""
    folder = tmp_path_factory.mktemp("texts")
    for index, source in enumerate([*sorted(zoo.names())[::40], *(CASES[name][0] for name in READ)]):
        (folder / f"network_{index}.py").write_text(composer.eject(source), encoding="utf-8")
    return folder


def printed(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


def test_files_are_formatted_and_clean(texts):
    options = ["--isolated", "--line-length", "120", texts]
    assert printed("ruff", "format", "--diff", *options) == ""
    assert printed("ruff", "check", "--select", "E,F,I,UP,B,SIM,PIE,RET", *options) == ""


@pytest.mark.slow
def test_types_are_right(texts):
    assert printed(sys.executable, "-m", "mypy", "--config-file=", *sorted(texts.iterdir())) == ""


def test_nothing_of_composer_is_imported(texts):
    for path in texts.iterdir():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = [one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
        imported += [name.name for one in ast.walk(tree) if isinstance(one, ast.Import) for name in one.names]
        assert not any(name.startswith("composer") for name in imported)


def test_it_pickles_by_its_own_module(tmp_path):
    network = network_of(loaded(composer.eject("resnet18"), tmp_path))(num_classes=3)
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(again.fc.weight, network.fc.weight)
    assert again.fc.out_features == 3


@pytest.mark.parametrize("name", ["cbam", "se", "convnext", "vit", "dynconv"])
def test_first_weights_have_the_same_laws(name, tmp_path):
    source, options = CASES[name]
    torch.manual_seed(0)
    model = composer.build(source, **options)
    network = network_of(loaded(composer.eject(model.graph), tmp_path))()
    for (key, ours), (_, theirs) in zip(model.named_parameters(), network.named_parameters(), strict=True):
        if ours.numel() > 1 and ours.std() == 0:
            assert torch.equal(ours, theirs), key
        elif ours.numel() >= 4096:
            assert theirs.std().item() == pytest.approx(ours.std().item(), rel=0.1), key
            assert theirs.mean().item() == pytest.approx(ours.mean().item(), abs=0.1 * ours.std().item()), key
