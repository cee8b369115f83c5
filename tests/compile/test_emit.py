"""What comes out is a network as people write them: nested, named, hookable, readable."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

import composer
from composer.dag.names import RESERVED
from composer.registry import ModuleEntry


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
    lines = [line.strip() for line in block.code.partition("forward")[2].splitlines()[1:]]
    assert lines == [
        "y = self.conv1(x)",
        "y = self.bn1(y)",
        "y = self.act1(y)",
        "y = self.conv2(y)",
        "y = self.bn2(y)",
        "y = self.se(y)",
        "y = y + x  # add",
        "return self.act2(y)",
    ]
    assert "(se): SqueezeExcitation(" in str(block)


def test_paths_of_nodes_are_paths_of_modules_and_prefixes_of_tensors() -> None:
    model = composer.build("papers/cbam/mobilenetv2_100")
    modules = dict(model.named_modules())
    for node, _ in model.graph.operations:
        if isinstance(node.entry, ModuleEntry):
            assert node.path in modules
            assert type(modules[node.path]) is node.content.entry.module
    owners = {name.rpartition(".")[0] for name in model.state_dict()}
    assert all(any(name == path or name.startswith(f"{path}.") for path in modules if path) for name in owners if name)


def test_a_network_that_is_a_chain_may_be_indexed() -> None:
    nodes = {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "act": "relu"}
    spec = {"input": [3, 8, 8], "blocks": {"unit": {"nodes": nodes}}, "nodes": {"body": {"block": "unit", "repeat": 2}}}
    model = composer.build(spec)
    assert type(model.body) is nn.Sequential
    assert type(model.body[0]) is nn.Sequential
    assert list(model.state_dict()) == ["body.0.conv.weight", "body.1.conv.weight"]


def test_a_repeat_with_further_inputs_may_be_indexed() -> None:
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 3, "kernel_size": 3},
        "add": {"op": "add", "from": ["conv", "like"]},
    }
    spec = {
        "input": [3, 8, 8],
        "blocks": {"unit": {"inputs": ["input", "like"], "nodes": nodes}},
        "nodes": {"body": {"block": "unit", "repeat": 3, "from": ["input", "input"]}},
    }
    model = composer.build(spec)
    assert isinstance(model.body, nn.Sequential)
    assert (len(model.body), model.body[-1]) == (3, model.body.get_submodule("2"))
    x = torch.randn(2, 3, 8, 8)
    y = x
    for unit in model.body:
        y = unit(y, x)
    assert torch.equal(model(x), y)


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


HOSTILE = [
    '"""\nraise SystemExit("ran")\n"""',
    '"; raise SystemExit("ran"); "',
    "\\",
    '\\"',
    "a\nraise SystemExit('ran')",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_spec_runs(text):
    conv = {"op": "conv2d", "out_channels": 4, "kernel_size": 3}
    spec = {"name": text, "input": [3, 8, 8], "nodes": {"a": conv, "b": conv}, "outputs": {text: "a", "z": "b"}}
    model = composer.build(spec)
    assert list(model(torch.zeros(1, 3, 8, 8))) == [text, "z"]
    unit = {"nodes": {"a": conv, "b": {"op": "add", "from": ["a", "a"]}}}
    inside = {"input": [3, 8, 8], "blocks": {text: unit}, "nodes": {"u": {"block": text}}, "outputs": "u"}
    # A name that cannot be a block's is refused; none may run.
    with contextlib.suppress(composer.ComposerError):
        composer.build(inside)(torch.zeros(1, 3, 8, 8))


def test_parameters_lie_where_others_put_them_and_derived_buffers_where_they_are_needed() -> None:
    accelerate = pytest.importorskip("accelerate")
    spec = {"backbone": "swin_tiny_patch4_window7_224", "input": [3, 112, 112], "vars": {"depths": [1, 2, 1, 1]}}
    with accelerate.init_empty_weights():
        model = composer.build(spec)
    assert all(one.is_meta for one in model.parameters())
    assert not any(one.is_meta for one in model.buffers())
    wanted = composer.build(spec)
    model.load_state_dict(wanted.state_dict(), assign=True)
    x = torch.randn(1, 3, 112, 112)
    torch.testing.assert_close(model.eval()(x), wanted.eval()(x))


def test_no_node_has_the_name_of_something_that_a_network_has():
    # Libraries such as transformers give every module further names when they are imported.
    known = RESERVED.union(dir(nn.Module()))
    assert {name for name in dir(composer.build("resnet10")) if not name.startswith("_")} - known == {
        node.name for node in composer.graph("resnet10").root.nodes.values()
    } - {"input"}


def test_a_network_called_wrongly_has_no_empty_note():
    model = composer.build("resnet18")
    with pytest.raises(TypeError, match="resnet18") as caught:
        model(y=torch.zeros(1, 3, 64, 64))
    assert not getattr(caught.value, "__notes__", [])
