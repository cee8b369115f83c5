"""Recordings of modules that composer did not write: paths, shapes, wiring and parameters are the modules' own."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from composer.dag.host import HostScope
from composer.dag.scope import Scope
from composer.hosts.recording.record import record

TIMM = ("resnet18", "vit_tiny_patch16_224", "convnext_atto", "swin_tiny_patch4_window7_224", "mobilenetv3_small_050")


def recorded(name: str, **options: Any) -> tuple[nn.Module, HostScope]:
    with torch.device("meta"):
        model = timm.create_model(name, **options)
    return model, record(model, (torch.empty(2, *model.default_cfg["input_size"], device="meta"),))


class Permutes(nn.Module):
    """A permutation as a module, such as torchvision's."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


def test_a_module_without_parts_is_told_by_its_own_forward() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Permutes(0, 2, 3, 1), nn.LayerNorm(4), Permutes(0, 3, 1, 2))
    nodes = record(model, (torch.empty(2, 3, 4, 4),)).nodes
    assert [nodes[name].tensor.layout for name in "0123"] == ["b c h w", "b h w c", "b h w c", "b c h w"]


@pytest.mark.parametrize("name", TIMM)
def test_nodes_are_the_modules_with_their_shapes(name: str) -> None:
    model, scope = recorded(name)
    shapes: dict[str, tuple[int, ...]] = {}

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: Any, result: Tensor) -> None:
            shapes.setdefault(path, tuple(result.shape))

        return hook

    for path, module in model.named_modules():
        module.register_forward_hook(note(path))
    with torch.no_grad():
        model.eval()(torch.empty(2, *model.default_cfg["input_size"], device="meta"))
    found = {node.path: node.tensor.shape for node in scope.walk() if node.result is not None}
    modules = {node.path for node in scope.walk()} & shapes.keys()
    assert len(modules) > 0.4 * len(shapes)
    assert {path: found[path] for path in modules} == {path: shapes[path] for path in modules}
    assert scope.num_parameters == sum(one.numel() for one in model.parameters())


def test_layouts_and_grids_are_told_from_step_to_step() -> None:
    _, scope = recorded("vit_tiny_patch16_224")
    blocks = scope.nodes["blocks"].tensor
    assert (blocks.layout, blocks.grid) == ("b n c", (14, 14, 1))
    _, scope = recorded("swin_tiny_patch4_window7_224")
    assert scope.nodes["layers"].tensor.layout == "b h w c"
    _, scope = recorded("hiera_tiny_224")
    # Its tokens stand row by row only behind the last pooling.
    found = {node.path: node.tensor.grid for node in scope.walk() if node.path in ("blocks.0", "blocks")}
    assert found == {"blocks.0": None, "blocks": (7, 7, 0)}


class Twice(nn.Module):
    """One layer called twice, a list that is looped over, a parameter, and a module that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in range(3))
        self.act = nn.ReLU()
        self.gamma = nn.Parameter(torch.ones(4, 1, 1))
        self.unused = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = layer(x)
        first = self.act(x * self.gamma)
        return first, self.act(first + x)


def test_a_module_written_by_hand() -> None:
    model = Twice().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scope = record(model, (torch.randn(1, 4, 8, 8),))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(scope.nodes) == ["layers", "gamma", "mul", "act", "add", "act_2"]
    layers = scope.nodes["layers"].content
    assert isinstance(layers, Scope)
    assert [node.path for node in layers.nodes.values()] == ["layers.0", "layers.1", "layers.2"]
    assert scope.nodes["act_2"].calls == "act"
    assert scope.nodes["act_2"].owner == "act"
    assert scope.nodes["mul"].inputs == ("layers", "gamma")
    assert scope.nodes["add"].inputs == ("act", "layers")
    assert scope.outputs == {"0": "act", "1": "act_2"}
    assert scope.num_parameters == sum(one.numel() for one in model.parameters())
    assert scope.file.endswith("test_record.py")
    assert scope.line > 0


class Leaking(nn.Module):
    """Keeps a tensor of a part in a list, and takes it elsewhere: no call returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []
        self.first = _Keeps(self.kept)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.kept.clear()
        x = self.first(x)
        return self.second(x) + self.kept[0]


class _Keeps(nn.Module):
    def __init__(self, kept: list[Tensor]) -> None:
        super().__init__()
        self.kept = kept
        self.one, self.two = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        self.kept.append(x)
        result: Tensor = self.two(x)
        return result


def test_a_tensor_that_no_call_returns_is_passed_outward() -> None:
    scope = record(Leaking(), (torch.zeros(2, 4, 8, 8),))
    first = scope.nodes["first"].content
    assert isinstance(first, Scope)
    assert first.exposed == {"one"}
    assert scope.nodes["add"].inputs == ("second", "first.one")


def test_an_identity_is_a_node_of_its_own() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = x + self.drop(x)
            return result

    assert record(Residual(), (torch.zeros(2, 3, 4, 4),)).nodes["add"].inputs == ("input", "drop")
