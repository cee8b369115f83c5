"""What of a checkpoint fits: by name, by order, in part, and what is refused without touching the network."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

import composer
from composer.weights import Head

PLAIN = {"backbone": "resnet18", "vars": {"num_classes": 5}}
WITH_SE = {**PLAIN, "attention": [{"use": "se", "after": "branch", "start": "identity"}]}
WITH_SK = {**PLAIN, "attention": [{"use": "sk", "replace": "spatial_conv", "where": "stage == 4"}]}
WITH_CONDCONV = {**PLAIN, "attention": [{"use": "condconv", "replace": "layer4.1.conv2"}]}
FEATURES = {"backbone": "resnet18", "outputs": {"c3": "layer2", "c4": "layer3"}}


@pytest.mark.parametrize("ending", ["pt", "pth", "bin", "ckpt", "pth.tar", "safetensors"])
def test_missing_is_exactly_what_was_inserted(plain, refused, tmp_path, ending):
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
    assert "new, inserted by attention" in str(report)
    assert "tensors that are not in it" in refused(composer.build(WITH_SE), path, require="all")


def test_a_replaced_convolution_is_left_out(plain, refused):
    report = composer.load_weights(composer.build(WITH_SK), plain.state_dict())
    assert {name.rpartition(".")[0] for name in report.left_out} == {
        f"layer4.{block}.{name}" for block in (0, 1) for name in ("conv1", "conv2", "bn1", "bn2")
    }
    assert not report.unexpected
    assert all(name.startswith("layer4") for name in report.inserted)
    assert "layer4.0.conv1.weight" in refused(composer.build(WITH_SK), plain.state_dict(), require="all")


def test_what_takes_a_place_under_the_same_name_keeps_its_own_tensor(plain):
    model = composer.build(WITH_CONDCONV)
    before = model.state_dict()["layer4.1.conv2.weight"].clone()
    assert before.shape != plain.state_dict()["layer4.1.conv2.weight"].shape
    report = composer.load_weights(model, plain.state_dict())
    assert report.left_out == ("layer4.1.conv2.weight",)
    assert "layer4.1.conv2.weight" in report.inserted
    assert not report.misshapen
    assert torch.equal(model.state_dict()["layer4.1.conv2.weight"], before)


@pytest.mark.parametrize("spec", [WITH_SE, WITH_SK, WITH_CONDCONV], ids=["se", "sk", "condconv"])
def test_a_composed_networks_own_weights_fit_exactly(spec):
    first, second = composer.build(spec, seed=1), composer.build(spec, seed=2)
    report = composer.load_weights(second, first.state_dict(), require="all")
    assert set(report.loaded) == set(first.state_dict())
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_a_network_of_which_a_rule_replaces_most_takes_its_own_weights():
    # Each of the two paths inside `sk` looks like the whole backbone.
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3},
        "bn": "batch_norm",
        "act": "relu",
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 2, "site": "head"},
    }
    spec = {"input": [1, 8, 8], "nodes": nodes, "attention": [{"use": "sk", "replace": "conv"}]}
    model = composer.build(spec)
    report = composer.load_weights(composer.build(spec, seed=1), model.state_dict(), require="all")
    assert set(report.loaded) == set(model.state_dict())


def test_features_leave_out_the_rest_of_the_backbone(plain, refused):
    model = composer.build(FEATURES)
    report = composer.load_weights(model, {**plain.state_dict()})
    assert set(report.loaded) == set(model.state_dict())
    assert set(report.left_out) == set(plain.state_dict()) - set(model.state_dict())
    assert {"layer4.0.conv1.weight", "fc.weight"} <= set(report.left_out)
    assert not report.heads
    foreign = {**plain.state_dict(), "layer4.0.conv9.weight": torch.zeros(1)}
    assert "`layer4.0.conv9.weight`" in refused(composer.build(FEATURES), foreign)
    assert composer.load_weights(model, foreign, require="any").unexpected == ("layer4.0.conv9.weight",)


def test_features_of_an_input_too_small_for_the_whole_backbone(plain):
    model = composer.build({**FEATURES, "backbone": "mobilenetv2_100", "outputs": {"c1": "bn1"}, "input": [3, 2, 2]})
    assert composer.load_weights(model, model.state_dict(), require="all").loaded


def test_another_number_of_classes_is_said_and_the_rest_loads(plain, refused):
    model = composer.build({**WITH_SE, "vars": {"num_classes": 10}}, seed=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = composer.load_weights(model, plain.state_dict())
    assert report.heads == (Head("fc", 5, 10),)
    assert str(report).splitlines()[-2] == "head fc: 5 classes in the file, 10 here; left as it was"
    assert not report.misshapen
    assert not {"fc.weight", "fc.bias"} & {*report.loaded, *report.missing}
    after = model.state_dict()
    assert torch.equal(after["fc.weight"], before["fc.weight"])
    assert torch.equal(after["fc.bias"], before["fc.bias"])
    assert torch.equal(after["layer4.1.conv2.weight"], plain.state_dict()["layer4.1.conv2.weight"])
    message = refused(composer.build({**PLAIN, "vars": {"num_classes": 10}}), plain.state_dict(), require="all")
    assert "head fc: 5 classes in the file, 10 here" in message
    assert "left as it was" not in message
    anyway = composer.load_weights(model, plain.state_dict(), require="any")
    assert anyway.heads == report.heads


def test_a_file_without_a_head(plain, refused):
    headless = {name: tensor for name, tensor in plain.state_dict().items() if not name.startswith("fc.")}
    report = composer.load_weights(composer.build(PLAIN), headless)
    assert report.heads == (Head("fc", None, 5),)
    assert not report.missing
    assert "head fc: not in the file, 5 classes here" in refused(composer.build(PLAIN), headless, require="all")
    half = {**headless, "fc.bias": plain.state_dict()["fc.bias"]}
    assert "`fc.weight`" in refused(composer.build(PLAIN), half)


def test_a_head_of_other_features_is_no_other_number_of_classes(plain, refused):
    wrong = {**plain.state_dict(), "fc.weight": torch.zeros(7, 256), "fc.bias": torch.zeros(7)}
    assert "fc.weight 7×256, not 5×512" in refused(composer.build(PLAIN), wrong)


def test_a_head_of_several_layers():
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 1, "site": "stem"},
        "pool": "global_avg_pool",
        "head": {"block": "head", "site": "head"},
    }
    block = {"nodes": {"norm": "layer_norm", "fc": {"op": "linear", "out_features": "$classes"}}}
    spec = {"input": [3, 4, 4], "vars": {"classes": 3}, "blocks": {"head": block}, "nodes": nodes}
    small, large = composer.build(spec), composer.build(spec, vars={"classes": 4})
    report = composer.load_weights(large, small.state_dict())
    assert report.heads == (Head("head.fc", 3, 4),)
    assert "head.norm.weight" in report.loaded


def test_by_order_under_other_names(plain, refused):
    renamed = {f"net.{index}": tensor for index, tensor in enumerate(plain.state_dict().values())}
    model = composer.build(WITH_SE)
    assert "--match order" in refused(model, renamed)
    report = composer.load_weights(model, renamed, match="order")
    assert len(report.loaded) == len(renamed)
    assert torch.equal(model.state_dict()["layer3.1.bn2.running_var"], plain.state_dict()["layer3.1.bn2.running_var"])


@pytest.mark.parametrize("spec", [WITH_SK, FEATURES], ids=["replaced", "features"])
def test_order_counts_what_the_network_leaves_out(plain, spec):
    renamed = {f"net.{index}": tensor for index, tensor in enumerate(plain.state_dict().values())}
    model = composer.build(spec)
    report = composer.load_weights(model, renamed, match="order")
    assert report.left_out
    assert torch.equal(model.state_dict()["layer3.1.bn2.running_var"], plain.state_dict()["layer3.1.bn2.running_var"])


def test_order_needs_as_many_tensors_and_a_file_that_keeps_it(plain, refused, tmp_path):
    few = dict(list(plain.state_dict().items())[:-1])
    assert "has 121 tensors, the plain backbone 122" in refused(composer.build(PLAIN), few, match="order")
    save_file(plain.state_dict(), tmp_path / "w.safetensors")
    assert "safetensors sorts them" in refused(composer.build(PLAIN), tmp_path / "w.safetensors", match="order")
    both = {"match": "order", "keys": "torchvision_vit"}
    assert "looks at none" in refused(composer.build(PLAIN), plain.state_dict(), **both)


def test_an_old_checkpoint_without_batch_counters(plain):
    old = {name: tensor for name, tensor in plain.state_dict().items() if "num_batches" not in name}
    assert not composer.load_weights(composer.build(PLAIN), old).missing
    assert len(composer.load_weights(composer.build(PLAIN), dict(old), match="order").loaded) == len(old)


def test_every_kind_of_misfit_is_named_at_once(plain, refused):
    wrong = dict(plain.state_dict())
    wrong["bn1.weight"] = torch.zeros(7)
    wrong["extra"] = torch.zeros(1)
    del wrong["conv1.weight"]
    message = refused(composer.build(WITH_SE), wrong)
    assert "nothing was loaded" in message
    assert "`conv1.weight`" in message
    assert "`extra`" in message
    assert "bn1.weight 7, not 64" in message
    report = composer.load_weights(model := composer.build(WITH_SE), wrong, require="any")
    assert report.missing == ("conv1.weight",)
    assert report.unexpected == ("extra",)
    assert report.misshapen == {"bn1.weight": ((7,), (64,))}
    assert not report.fills_backbone
    assert torch.equal(model.state_dict()["bn1.bias"], wrong["bn1.bias"])


def test_another_networks_checkpoint(plain, refused):
    message = refused(composer.build("resnet34"), plain.state_dict())
    assert "tensors that are not in it" in message
    assert "layer1.2.conv1.weight" in message


def test_other_precisions_are_converted(plain):
    half = {n: t.half() if t.is_floating_point() else t for n, t in plain.state_dict().items()}
    composer.load_weights(model := composer.build(PLAIN), half)
    assert model.state_dict()["fc.weight"].dtype == torch.float32
    # Converted along with the rest by careless code, a counter is still a whole number.
    composer.load_weights(model, {n: t.half() for n, t in plain.state_dict().items()})


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("bn1.weight", torch.full((64,), float("nan")), "numbers that are not finite in `bn1.weight`"),
        ("bn1.bias", torch.full((64,), float("inf")), "numbers that are not finite in `bn1.bias`"),
        ("bn1.bias", torch.full((64,), 1e300, dtype=torch.float64), "numbers that are not finite in `bn1.bias`"),
        ("bn1.weight", torch.ones(64, dtype=torch.int64), "int64 values in `bn1.weight`"),
        ("bn1.weight", torch.ones(64, dtype=torch.bool), "bool values in `bn1.weight`"),
        ("bn1.weight", torch.ones(64, dtype=torch.complex64), "complex64 values in `bn1.weight`"),
        ("bn1.num_batches_tracked", torch.tensor(0.5), "float32 values in `bn1.num_batches_tracked`"),
        ("bn1.weight", torch.ones(64).to_sparse(), "sparse_coo values in `bn1.weight`"),
        ("bn1.weight", torch.ones(64, device="meta"), "no values in `bn1.weight`"),
    ],
)
def test_values_that_are_no_weights(plain, refused, name, tensor, said):
    bad = {**plain.state_dict(), name: tensor}
    assert said in refused(composer.build(PLAIN), bad)
    assert said in refused(composer.build(PLAIN), bad, require="any")


@pytest.mark.filterwarnings("ignore:.*quantize.*")
def test_quantized_values(plain, refused):
    quantized = torch.quantize_per_tensor(torch.ones(64), 1.0, 0, torch.qint8)
    message = refused(composer.build(PLAIN), {**plain.state_dict(), "bn1.weight": quantized})
    assert "quantized values in `bn1.weight`" in message


def test_a_problem_of_the_last_tensor_leaves_the_first_alone(plain, refused):
    refused(composer.build(PLAIN, seed=9), {**plain.state_dict(), "fc.bias": torch.full((5,), float("nan"))})


def test_a_network_on_the_meta_device_has_no_room(plain):
    model = composer.build(PLAIN, device="meta")
    with pytest.raises(composer.WeightsError, match=r"(?s)no numbers yet.*`model\.to_empty"):
        composer.load_weights(model, plain.state_dict())
    model.to_empty(device="cpu").init_non_persistent_buffers()
    composer.load_weights(model, plain.state_dict())
    assert all(torch.equal(one, plain.state_dict()[name]) for name, one in model.state_dict().items())


def test_options_that_there_are_not(plain, refused):
    assert "did you mean `backbone`" in refused(composer.build(PLAIN), plain.state_dict(), require="backbones")
    assert "`name`, `order`" in refused(composer.build(PLAIN), plain.state_dict(), match="position")
    assert "the mapping is not a state_dict" in refused(composer.build(PLAIN), {"a": 1})


def test_the_report_as_json(plain):
    report = composer.load_weights(composer.build({**PLAIN, "vars": {"num_classes": 7}}), plain.state_dict())
    assert report.to_json()["heads"] == [{"path": "fc", "found": 5, "own": 7}]
    assert report.to_json()["loaded"] == 120
