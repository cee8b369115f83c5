"""What comes out is a network as people write them: nested, named, hookable, readable."""

from __future__ import annotations

import torch
from torch import nn

import composer


def test_blocks_are_modules_of_their_own_and_hooks_fire() -> None:
    model = composer.build("resnet18")
    assert type(model.layer1) is nn.Sequential
    assert type(model.get_submodule("layer1.0")).__name__ == "basic"
    assert type(model).__name__ == "resnet18"
    called = []
    for name in ("layer1", "layer1.0", "layer2.0.downsample", "layer4.1.conv2"):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    model(torch.randn(2, 3, 64, 64))
    assert called == ["layer1.0", "layer1", "layer2.0.downsample", "layer4.1.conv2"]


def test_the_code_reads_like_a_network_written_by_hand() -> None:
    block = composer.build({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]}).layer1[0]
    lines = [line.strip().split(";")[0] for line in block.code.splitlines() if "self." in line]
    assert lines[:3] == ["conv1 = self.conv1(x)", "bn1 = self.bn1(conv1)", "act1 = self.act1(bn1)"]
    assert "se = self.se(bn2)" in lines
    assert "(se): SqueezeExcitation(" in str(block)


def test_paths_of_nodes_are_paths_of_modules_and_prefixes_of_tensors() -> None:
    model = composer.build("papers/cbam/mobilenetv2_100")
    modules = dict(model.named_modules())
    for node, _ in model.graph.operations:
        if node.content.entry.form == "module":
            assert node.path in modules
            assert type(modules[node.path]) is node.content.entry.factory
    owners = {name.rpartition(".")[0] for name in model.state_dict()}
    assert all(any(name == path or name.startswith(f"{path}.") for path in modules if path) for name in owners if name)


def test_a_network_that_is_a_chain_may_be_indexed() -> None:
    nodes = {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "act": "relu"}
    spec = {"input": [3, 8, 8], "blocks": {"unit": {"nodes": nodes}}, "nodes": {"body": {"block": "unit", "repeat": 2}}}
    model = composer.build(spec)
    assert type(model.body) is nn.Sequential
    assert type(model.body[0]) is nn.Sequential
    assert list(model.state_dict()) == ["body.0.conv.weight", "body.1.conv.weight"]


def test_it_trains_under_data_types_and_devices_as_any_module() -> None:
    model = composer.build("resnet18", vars={"num_classes": 3}, dtype=torch.float64)
    assert model(torch.randn(2, 3, 32, 32, dtype=torch.float64)).dtype == torch.float64
    half = model.to(torch.bfloat16)
    assert half(torch.randn(2, 3, 32, 32, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert half.to("meta")(torch.empty(2, 3, 32, 32, dtype=torch.bfloat16, device="meta")).shape == (2, 3)


def test_compiles_whole() -> None:
    torch.compiler.reset()
    rule = {"use": "cbam", "after": "branch"}
    model = composer.build({"backbone": "resnet18", "vars": {"num_classes": 3}, "attention": [rule]}).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(x), model(x))
