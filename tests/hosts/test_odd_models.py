"""Models that somebody wrote in an odd way, and calls that are mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer

IMAGE = torch.zeros(2, 3, 16, 16)


class Decoder(nn.Module):
    """Calls members of a list with other steps between them."""

    def __init__(self) -> None:
        super().__init__()
        self.d = nn.Conv2d(3, 8, 3, padding=1)
        self.u = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        d = self.d(x)
        result: Tensor = self.u[1](F.relu(self.u[0](d)))
        return result


GATE = """
blocks:
  gate:
    inputs: [input, guide]
    nodes:
      logit: {op: conv2d, from: guide, out_channels: 1, kernel_size: 1}
      gated: {op: mul, from: [input, logit], broadcast: true}
"""


@pytest.mark.parametrize("guide", ["/d", "/u.0", "input"])
def test_a_second_tensor_for_a_member_of_a_list(guide: str) -> None:
    model = Decoder()
    rules = f"{GATE}attention:\n  - {{use: gate, after: u.1, from: {{guide: {guide}}}, start: identity}}\n"
    before = model(IMAGE)
    report = composer.insert(model, rules, IMAGE)
    assert len(report.places) == 1
    assert torch.equal(model(IMAGE), before)
    assert not composer.check(model)


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.mid = torch.jit.script(nn.Sequential(nn.Conv2d(8, 8, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.mid(self.first(x)))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_scripted_part_is_one_node() -> None:
    model = Scripted()
    before, keys = model(IMAGE + 1), set(model.state_dict())
    with pytest.raises(composer.ComposerError, match="no place is called"):
        composer.insert(model, {"use": "se", "after": "mid.0"}, IMAGE)
    assert set(model.state_dict()) == keys
    rules = [{"use": "se", "after": place, "with": {"reduction": 2}} for place in ("first", "mid")]
    report = composer.insert(model, rules, IMAGE)
    assert len(report.places) == 2
    assert not torch.equal(model(IMAGE + 1), before)
    assert keys < set(model.state_dict())


def test_rules_of_has_the_sites_that_were_given() -> None:
    def made() -> nn.Module:
        return nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(4)))

    model, other = made(), made()
    composer.insert(model, {"use": "eca", "after": "mine"}, IMAGE, sites={"mine": ["1", "3"]})
    composer.insert(other, composer.rules_of(model), IMAGE)
    assert list(other.state_dict()) == list(model.state_dict())
    assert len(list(other.state_dict())) == 8 + 2


@pytest.mark.parametrize(
    ("model", "rules", "sites", "said"),
    [
        (nn.Linear, {"use": "se", "after": "*"}, None, "the class Linear"),
        (nn.Sequential(nn.ReLU()), [], None, "there are no rules"),
        (nn.Sequential(nn.ReLU()), None, None, "the rules are a NoneType"),
        (nn.Sequential(nn.ReLU()), {"use": "se", "after": "block"}, {"block": 3}, "`sites` gives `block`"),
    ],
)
def test_plain_mistakes_are_answered(model: Any, rules: Any, sites: Any, said: str) -> None:
    with pytest.raises(composer.ComposerError, match=said):
        composer.insert(model, rules, IMAGE, sites=sites)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c, self.d = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.d(F.relu(self.c(x))))


def test_functions_are_replaced_by_modules() -> None:
    model, x = Functional(), torch.randn(2, 3, 8, 8)
    plain = model(x)
    composer.insert(model, {"use": "silu", "replace": "**", "where": "kind == 'activation'"}, x)
    assert torch.allclose(model(x), F.silu(model.d(F.silu(model.c(x)))))
    composer.remove(model)
    assert torch.equal(model(x), plain)


class Looping(nn.Module):
    """Runs whatever children it has, as timm's RegNet stages do."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def run(self, x: Tensor) -> Tensor:
        for child in self.children():
            x = child(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


@pytest.mark.parametrize("position", ["after", "before"])
def test_a_module_that_loops_over_its_children_runs_what_is_put_in_once(position: str) -> None:
    model, x = nn.Sequential(Looping(), nn.ReLU()), torch.randn(2, 3, 8, 8)
    plain = model(x)
    composer.insert(model, {"use": "eca", position: "0"}, x)
    loop: Any = model[0]
    a, b = loop.a, loop.b
    wanted = b(a(loop.in_eca(x))) if position == "before" else loop.out_eca(b(a(x)))
    assert torch.equal(model(x), wanted.relu())
    composer.remove(model)
    assert torch.equal(model(x), plain)
