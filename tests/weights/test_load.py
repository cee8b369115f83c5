"""Weights from files: by name, by order, in part, and what is refused without touching the network."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

import composer

PLAIN = {"backbone": "resnet18", "vars": {"num_classes": 5}}
WITH_SE = {**PLAIN, "attention": [{"use": "se", "after": "branch", "start": "identity"}]}
WITH_SK = {**PLAIN, "attention": [{"use": "sk", "replace": "spatial_conv", "where": "stage == 4"}]}


@pytest.fixture(scope="module")
def plain() -> composer.ComposedModule:
    return composer.build(PLAIN, seed=1).eval()


def refused(model, source, **options) -> str:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(composer.WeightsError) as caught:
        composer.load_weights(model, source, **options)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    return str(caught.value)


@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors"])
def test_missing_is_exactly_what_was_inserted(plain, tmp_path, ending):
    path = tmp_path / f"w.{ending}"
    (save_file if ending == "safetensors" else torch.save)(plain.state_dict(), path)
    model = composer.build(WITH_SE).eval()
    report = composer.load_weights(model, path)
    assert set(report.loaded) == set(plain.state_dict())
    assert set(report.inserted) == set(model.state_dict()) - set(plain.state_dict())
    assert not report.missing
    assert not report.unexpected
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(x), plain(x))
    assert "missing, inserted by attention" in str(report)
    assert "tensors that are not in it" in refused(composer.build(WITH_SE), path, require="all")


def test_a_replaced_convolution_may_be_left_over(plain):
    report = composer.load_weights(composer.build(WITH_SK), plain.state_dict())
    assert {name.rpartition(".")[0] for name in report.unexpected} <= {
        f"layer4.{block}.{name}" for block in (0, 1) for name in ("conv1", "conv2", "bn1", "bn2")
    }
    assert report.unexpected
    assert all(name.startswith("layer4") for name in report.inserted)


def test_by_order_under_other_names(plain):
    renamed = {f"net.{index}": tensor for index, tensor in enumerate(plain.state_dict().values())}
    model = composer.build(WITH_SE)
    assert "--match order" in refused(model, renamed)
    report = composer.load_weights(model, renamed, match="order")
    assert len(report.loaded) == len(renamed)
    assert torch.equal(model.state_dict()["layer3.1.bn2.running_var"], plain.state_dict()["layer3.1.bn2.running_var"])


def test_order_needs_as_many_tensors_and_a_file_that_keeps_it(plain, tmp_path):
    few = dict(list(plain.state_dict().items())[:-1])
    assert "has 121 tensors, the network 122" in refused(composer.build(PLAIN), few, match="order")
    save_file(plain.state_dict(), tmp_path / "w.safetensors")
    assert "safetensors sorts them" in refused(composer.build(PLAIN), tmp_path / "w.safetensors", match="order")


def test_an_old_checkpoint_without_batch_counters(plain):
    old = {name: tensor for name, tensor in plain.state_dict().items() if "num_batches" not in name}
    assert not composer.load_weights(composer.build(PLAIN), old).missing
    assert len(composer.load_weights(composer.build(PLAIN), dict(old), match="order").loaded) == len(old)


def test_every_kind_of_misfit_is_named_at_once(plain):
    wrong = dict(plain.state_dict())
    wrong["fc.weight"] = torch.zeros(7, 512)
    wrong["extra"] = torch.zeros(1)
    del wrong["conv1.weight"]
    message = refused(composer.build(WITH_SE), wrong)
    assert "nothing was loaded" in message
    assert "`conv1.weight`" in message
    assert "`extra`" in message
    assert "fc.weight 7×512, not 5×512" in message
    report = composer.load_weights(model := composer.build(WITH_SE), wrong, require="any")
    assert report.missing == ("conv1.weight",)
    assert report.unexpected == ("extra",)
    assert report.misshapen == {"fc.weight": ((7, 512), (5, 512))}
    assert torch.equal(model.state_dict()["bn1.weight"], wrong["bn1.weight"])


def test_other_precisions_are_converted(plain):
    half = {n: t.half() if t.is_floating_point() else t for n, t in plain.state_dict().items()}
    composer.load_weights(model := composer.build(PLAIN), half)
    assert model.state_dict()["fc.weight"].dtype == torch.float32


def test_numbers_that_are_not_finite(plain):
    bad = {**plain.state_dict(), "bn1.weight": torch.full((64,), float("nan"))}
    assert "not finite in `bn1.weight`" in refused(composer.build(PLAIN), bad)


class _Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code from a weights file ran')",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pt", lambda: pickle.dumps({"a": _Evil()}), "could run code"),
        ("w.pt", lambda: b"garbage", "w.pt"),
        ("w.pt", lambda: b"", "cannot read the weights"),
        ("w.safetensors", lambda: b"garbage that is long enough", "cannot read the weights"),
        ("w.h5", lambda: b"x", "cannot tell what"),
        ("w.pt", None, "there is no weights file"),
    ],
)
def test_unreadable_files(tmp_path, name, content, said):
    path = tmp_path / name
    if content:
        path.write_bytes(content())
    assert said in refused(composer.build(PLAIN), path)


def test_a_truncated_file_and_one_that_is_no_state_dict(plain, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(plain.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "cannot read the weights" in refused(composer.build(PLAIN), path)
    torch.save([1, 2], path)
    assert "is not a state_dict" in refused(composer.build(PLAIN), path)
