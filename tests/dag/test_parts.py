"""Networks inside a network: blocks and nodes with `backbone`, their vars, outputs, attention and inputs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import ComposerError, GraphError, SpecError
from composer.artefacts import lock
from composer.kernels.choice import wants_reference
from composer.spec.dump import dump

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
DEPTHS = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))

TOWERS: dict[str, Any] = {
    "name": "towers",
    "inputs": {"image": [3, 64, 64], "depth": [1, 64, 64]},
    "blocks": {"tower": {"backbone": "resnet18", "outputs": {"c3": "layer2", "c5": "layer4"}}},
    "nodes": {
        "rgb": {"block": "tower", "from": "image"},
        "d": {"backbone": "resnet34", "from": "depth", "outputs": "layer4.0"},
        "sum": {"op": "add", "from": ["rgb.c5", "d"]},
        "fine": {"op": "conv2d", "from": "rgb.c3", "out_channels": 4, "kernel_size": 1},
    },
    "outputs": {"deep": "sum", "fine": "fine"},
}


def alone(name: str, whole: nn.Module, part: str, **more: Any) -> nn.Module:
    """A network built alone, with the weights that it has as a part of another."""
    model = composer.build(name, **more)
    own = {key.removeprefix(f"{part}."): one for key, one in whole.state_dict().items() if key.startswith(f"{part}.")}
    assert own
    assert own.keys() <= model.state_dict().keys()
    model.load_state_dict({**model.state_dict(), **own})
    return model.eval()


def test_two_encoders_compute_what_they_compute_alone() -> None:
    model = composer.build(TOWERS).eval()
    rgb = composer.features(alone("resnet18", model, "rgb"), {"c3": "layer2", "c5": "layer4"})(IMAGES)
    depth = composer.features(alone("resnet34", model, "d", in_chans=1), {"c": "layer4.0"})(DEPTHS)
    found = model(IMAGES, DEPTHS)
    assert torch.equal(found["deep"], rgb["c5"] + depth["c"])
    assert torch.equal(found["fine"], model.fine(rgb["c3"]))


def test_their_gradients_are_those_of_the_parts_alone() -> None:
    model = composer.build(TOWERS).eval()
    tower = alone("resnet18", model, "rgb")
    composer.features(tower, {"c": "layer4"})(IMAGES)["c"].square().sum().backward()
    model.rgb(IMAGES)["c5"].square().sum().backward()
    assert torch.equal(model.rgb.conv1.weight.grad, tower.conv1.weight.grad)


def test_keys_have_the_prefix_and_what_no_output_needs_is_left_out() -> None:
    keys = set(composer.build(TOWERS).state_dict())
    tower = {key for key in composer.build("resnet18").state_dict() if not key.startswith("fc.")}
    assert {key.removeprefix("rgb.") for key in keys if key.startswith("rgb.")} == tower
    assert not any(key.startswith(("d.fc", "d.layer4.1")) for key in keys)


def test_an_ensemble_of_whole_networks() -> None:
    nodes = {
        "a": {"backbone": "resnet18", "from": "input", "vars": {"num_classes": "$classes"}},
        "b": {"backbone": "mobilenetv2_100", "from": "input", "vars": {"num_classes": "${classes}"}},
        "sum": {"op": "add", "from": ["a", "b"]},
    }
    model = composer.build({"input": [3, 64, 64], "vars": {"classes": 5}, "nodes": nodes}).eval()
    a = alone("resnet18", model, "a", num_classes=5)
    b = alone("mobilenetv2_100", model, "b", num_classes=5)
    assert torch.equal(model(IMAGES), a(IMAGES) + b(IMAGES))


UNET: dict[str, Any] = {
    "name": "unet",
    "input": [3, 64, 96],
    "vars": {"encoder": "resnet18"},
    "blocks": {
        "encoder": {"backbone": "$encoder", "outputs": "levels"},
        "up": {
            "inputs": ["coarse", "fine"],
            "nodes": {
                "up": {"op": "upsample", "from": ["coarse", "fine"]},
                "cat": {"op": "concat", "from": ["up", "fine"]},
                "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "site": "branch"},
            },
        },
    },
    "nodes": {
        "encoder": {"block": "encoder"},
        "decoder": {"block": "up", "repeat": 3, "from": ["encoder.c5", "encoder.c${4 - index}"]},
    },
}


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "efficientnet_b0"])
def test_an_encoder_by_a_var_gives_its_features_at_every_scale(name: str) -> None:
    model = composer.build(UNET, vars={"encoder": name}).eval()
    images = torch.randn(1, 3, 64, 96)
    names = {f"c{level}": composer.compose(name).levels[-6 + level].path for level in (2, 3, 4, 5)}
    maps = composer.features(alone(name, model, "encoder"), names, maps=True)(images)
    y = maps["c5"]
    for step, fine in zip(model.decoder.children(), ("c4", "c3", "c2"), strict=True):
        y = step.conv(torch.cat([nn.functional.interpolate(y, scale_factor=2), maps[fine]], 1))
    assert torch.equal(model(images), y)


def test_levels_as_outputs_of_a_network_itself() -> None:
    spec = {"backbone": "resnet18", "outputs": "levels"}
    assert composer.compose(spec).outputs == composer.compose(composer.features("resnet18").spec).outputs
    flat = {"input": [3, 8, 8], "nodes": {"a": "relu"}, "outputs": "levels"}
    with pytest.raises(GraphError, match="has neither stages nor blocks"):
        composer.compose(flat)


def test_a_siamese_network_calls_one_part_twice() -> None:
    nodes = {
        "a": {"backbone": "resnet18", "from": "left", "outputs": {"c3": "layer2", "c5": "layer4"}},
        "b": {"share": "a", "from": "right"},
        "far": {"op": "sub", "from": ["a.c5", "b.c5"]},
    }
    model = composer.build({"inputs": {"left": [3, 64, 64], "right": [3, 64, 64]}, "nodes": nodes}).eval()
    assert all(key.startswith("a.") for key in model.state_dict())
    tower = composer.features(alone("resnet18", model, "a"), {"c": "layer4"})
    other = IMAGES.flip(0)
    assert torch.equal(model(IMAGES, other), tower(IMAGES)["c"] - tower(other)["c"])


def test_more_channels_another_size_and_its_own_facts() -> None:
    nodes = {"wide": {"op": "conv2d", "out_channels": 5, "kernel_size": 1}, "net": {"backbone": "vit_tiny_patch16_224"}}
    graph = composer.compose({"input": [3, 96, 160], "nodes": nodes})
    net = graph.root.nodes["net"].content
    assert net.nodes["patch_embed"].content.nodes["proj"].content.arguments["in_channels"] == 5
    assert net.nodes["pos_embed"].tensor.shape[1] == 6 * 10 + 1


def test_attention_of_its_own_and_rules_from_outside() -> None:
    spec = {
        **TOWERS,
        "blocks": {"tower": {**TOWERS["blocks"]["tower"], "attention": [{"use": "se", "after": "layer1.*.bn2"}]}},
        "attention": [
            {"use": "eca", "after": "rgb.layer2.0.bn2"},
            {"use": "eca", "after": "branch", "where": "stage == 2", "expect": 6, "name": "gate"},
        ],
    }
    model = composer.build(spec)
    graph = model.graph
    gates = {name for name, one in model.named_modules() if type(one).__name__ in ("SqueezeExcitation", "ECA")}
    assert {"rgb.layer1.0.se", "rgb.layer1.1.se"} < gates
    assert sum(name.startswith("rgb.layer2") for name in gates) == 3
    assert sum(name.startswith("d.layer2") for name in gates) == 4
    assert [added.rule.use for added in graph.added] == ["se", "eca", "eca"]
    assert [len(added.places) for added in graph.added] == [2, 1, 6]
    plain = composer.compose({**TOWERS})
    assert graph.plain.num_parameters == plain.num_parameters
    assert graph.num_parameters == plain.num_parameters + sum(added.parameters for added in graph.added)
    assert graph.added[0].parameters == sum(one.numel() for one in model.rgb.layer1.parameters()) - sum(
        one.numel() for one in composer.build("resnet18").layer1.parameters()
    )


def test_a_block_with_args_gives_them_to_its_network() -> None:
    stage = {
        "args": {"classes": None},
        "nodes": {"net": {"backbone": "resnet18", "vars": {"num_classes": "${classes + index}"}, "repeat": 1}},
    }
    nodes = {"a": {"block": "stage", "args": {"classes": 4}}}
    graph = composer.compose({"input": [3, 32, 32], "blocks": {"stage": stage}, "nodes": nodes})
    assert graph.outputs["output"].channels == 4
    tower = {"backbone": "resnet18", "vars": {"num_classes": "${input.channels}", "stem": "large"}}
    nodes = {"a": {"block": "tower", "args": {"stem": "small"}}}
    graph = composer.compose({"input": [3, 32, 32], "blocks": {"tower": tower}, "nodes": nodes})
    assert graph.outputs["output"].channels == 3


def tensors(model: nn.Module, images: Tensor) -> list[Tensor]:
    found = model.eval()(images)
    return list(found.values()) if isinstance(found, dict) else [found]


def test_lock_pickle_and_features(tmp_path: Path) -> None:
    spec = {**UNET, "attention": [{"use": "se", "after": "encoder.layer4.*.bn2"}]}
    spec["blocks"] = {
        **spec["blocks"],
        "encoder": {**UNET["blocks"]["encoder"], "attention": [{"use": "eca", "after": "branch"}]},
    }
    model, images = composer.build(spec), torch.randn(1, 3, 64, 96)
    wanted = tensors(model, images)
    copy = pickle.loads(pickle.dumps(model))
    assert torch.equal(tensors(copy, images)[0], wanted[0])
    assert [len(added.places) for added in copy.graph.added] == [8, 2]
    (tmp_path / "net.lock.yaml").write_text(dump(lock(model.graph, 0)))
    again = composer.build(tmp_path / "net.lock.yaml")
    assert list(again.state_dict()) == list(model.state_dict())
    again.load_state_dict(model.state_dict())
    assert torch.equal(tensors(again, images)[0], wanted[0])
    seen = composer.features(model, {"a": "encoder.layer2.0", "b": "decoder.1"})(images)
    assert {name: value.shape[1] for name, value in seen.items()} == {"a": 128, "b": 8}
    assert any(name.endswith("resnet.yaml") for name in model.spec.digests())


def test_a_file_with_parts_is_a_part_itself(tmp_path: Path) -> None:
    (tmp_path / "unet.yaml").write_text(dump(UNET))
    nodes = {
        "first": {"backbone": "unet.yaml", "vars": {"encoder": "resnet34"}},
        "rgb": {"op": "conv2d", "out_channels": 3, "kernel_size": 1},
        "second": {"backbone": "unet.yaml"},
    }
    (tmp_path / "two.yaml").write_text(dump({"input": [3, 128, 128], "nodes": nodes}))
    graph = composer.compose(tmp_path / "two.yaml")
    assert len(graph.root.nodes["first"].content.nodes["encoder"].content.nodes["layer1"].content.nodes) == 3
    assert len(graph.root.nodes["second"].content.nodes["encoder"].content.nodes["layer1"].content.nodes) == 2
    model, images = composer.build(graph.spec), torch.randn(1, 3, 128, 128)
    assert torch.equal(tensors(pickle.loads(pickle.dumps(model)), images)[0], tensors(model, images)[0])


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("n: {backbone: resnet19}", 3, "unknown backbone `resnet19`"),
        ("n: {backbone: $encoder}", 3, "unknown name `encoder`"),
        ("n: {backbone: resnet18, vars: {num_clases: 7}}", 3, "unknown var `num_clases`"),
        ("n: {backbone: resnet18, vars: {num_classes: many}}", 3, "`num_classes` is the string 'many'"),
        ("n: {backbone: resnet18, vars: {num_classes: $many}}", 3, "unknown name `many`"),
        ("n: {backbone: resnet18, vars: {num_classes: '${channels // 0}'}}", 3, "division by zero"),
        ("n: {backbone: resnet18, from: [input, input]}", 3, "`resnet18` takes 1 input (input), found 2"),
        ("n: {backbone: resnet18, outputs: layer7}", 3, "there is no node `layer7`"),
        ("n: {backbone: resnet18, attention: [{use: se, after: brunch}]}", 3, "no place is called `brunch`"),
        ("n: {backbone: resnet18, attention: [{use: see, after: branch}]}", 3, "unknown mechanism `see`"),
        ("n: {backbone: resnet18, args: {num_classes: 7}}", 3, "`args` belong to a `block`"),
        ("n: {backbone: resnet18, out_channels: 7}", 3, "unknown key `out_channels`"),
        ("n: {backbone: resnet18, op: relu}", 3, "both `op` and `backbone`"),
        ("n: {backbone: other.yaml}", 3, "there is no file `other.yaml`"),
        ("n: {backbone: ../other.yaml}", 3, "leaves the spec's own tree"),
        ("n: {backbone: net.yaml}", 3, "the backbone refers back to itself"),
        ("t: {op: flatten}\n  n: {backbone: resnet18}", 4, "`input` of `resnet18` is `b c h w`, found"),
        ("n: {backbone: resnet18, outputs: layer1}\n  e: {op: relu, from: n.fc}", 4, "there is no node `n.fc`"),
    ],
)
def test_mistakes_are_said_at_their_lines(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"input: [3, 64, 64]\nnodes:\n  {text}\n")
    with pytest.raises(ComposerError) as caught:
        composer.compose(path)
    assert isinstance(caught.value, SpecError | GraphError)
    (problem,) = [one for one in caught.value.diagnostics if said in one.message]
    assert problem.location is not None
    assert problem.location.line == line


def test_a_mistake_in_the_file_of_a_part_is_said_there(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text("input: [3, 64, 64]\nnodes:\n  a: {op: conv2d, kernel_size: 3}\n")
    (tmp_path / "net.yaml").write_text("input: [3, 64, 64]\nnodes:\n  n: {backbone: inner.yaml}\n")
    with pytest.raises(GraphError) as caught:
        composer.compose(tmp_path / "net.yaml")
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert problem.location.source.name.endswith("inner.yaml")
    assert problem.path == "n.a"


def test_circles_and_crowds_of_files(tmp_path: Path) -> None:
    net = "input: [3, 64, 64]\nnodes:\n"
    (tmp_path / "a.yaml").write_text(net + "  n: {backbone: b.yaml}\n")
    (tmp_path / "b.yaml").write_text(net + "  n: {backbone: a.yaml}\n")
    with pytest.raises(SpecError, match="refers back to itself"):
        composer.load_spec(tmp_path / "a.yaml")
    for number in range(9):
        nodes = "".join(f"  n{one}: {{backbone: c{number + 1}.yaml}}\n" for one in range(4))
        (tmp_path / f"c{number}.yaml").write_text(net + (nodes if number < 8 else "  a: relu\n"))
    with pytest.raises(SpecError, match="more than 256 networks"):
        composer.load_spec(tmp_path / "c0.yaml")


def test_kernels_are_those_of_the_part_unless_the_file_around_it_says() -> None:
    names = ("se", "a.se", "b.se")

    def unit(**more: str) -> dict[str, Any]:
        return {"input": [8, 8, 8], "nodes": {"bn": "batch_norm", "se": "se"}, **more}

    def chosen(**more: str) -> list[list[str]]:
        nodes = {"se": "se", "a": {"backbone": unit()}, "b": {"backbone": unit(kernels="reference")}}
        model = composer.build({"input": [8, 8, 8], "nodes": nodes, **more})
        models = (model, pickle.loads(pickle.dumps(model)))
        return [[name for name in names if wants_reference(one.get_submodule(name))] for one in models]

    assert chosen() == [["b.se"]] * 2
    assert chosen(kernels="reference") == [["se", "a.se", "b.se"]] * 2
    assert chosen(kernels="fused") == [[]] * 2
