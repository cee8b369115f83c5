"""A model that fails while it is recorded is drawn up to the call that raised."""

from __future__ import annotations

import pytest

from composer.api import compose
from composer.dag.sketch import sketch
from composer.errors import GraphError
from composer.spec.load import load_spec

CODE = """
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, bad):
        super().__init__()
        self.conv, self.bad = nn.Conv2d(4, 4, 3, padding=1), bad

    def forward(self, x):
        y = self.conv(x)
        if self.bad:
            raise ValueError("not ready")
        return x + y


class Net(nn.Module):
    def __init__(self, bad, norm=4):
        super().__init__()
        self.stem, self.layers = nn.Conv2d(3, 4, 1), nn.Sequential(*[Layer(bad == n) for n in range(6)])
        self.norm = nn.BatchNorm2d(norm)

    def forward(self, x):
        try:
            self.stem(x[:, :1])
        except RuntimeError:
            pass
        x = self.norm(self.layers(self.stem(x)))
        return torch.cat([x, x[:, :, :1]], 1)


def fifth():
    return Net(4)


def layer():
    return Net(-1, 5)


def function():
    return Net(-1)


def factory():
    raise OSError("no such model")
"""


@pytest.fixture
def failing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing_nets.py").write_text(CODE)

    def made(name):
        loaded = load_spec(f"failing_nets:{name}", allow_code=True)
        with pytest.raises(GraphError) as caught:
            compose(loaded)
        return sketch(loaded, caught.value.diagnostics)

    return made


def missing(found, path=""):
    return {name: (one.op, one.failed, one.inputs) for name, one in found.unfinished[path].missing.items()}


def test_a_forward_that_raises(failing):
    found = failing("fifth")
    assert [*found.root.nodes][-1] == "stem"
    assert missing(found) == {"layers": ("Sequential", True, ("stem",))}
    assert list(found.unfinished["layers"].scope.nodes) == ["0", "1", "2", "3"]
    assert missing(found, "layers") == {"4": ("Layer", True, ("3",))}
    assert list(found.unfinished["layers.4"].scope.nodes) == ["conv"]
    assert missing(found, "layers.4") == {"raises": ("raise", True, ("conv",))}
    (problem,) = found.unfinished["layers.4"].missing["raises"].problems
    assert "ValueError: not ready" in problem.message
    assert found.problems == (problem,)


def test_a_layer_and_a_function_that_raise(failing):
    assert missing(failing("layer")) == {"norm": ("BatchNorm2d", True, ("layers",))}
    found = failing("function")
    assert missing(found) == {"concat": ("concat", True, ("norm", "getitem_2"))}
    assert list(found.root.nodes) == ["getitem", "stem", "layers", "norm", "getitem_2"]


def test_what_cannot_be_made_has_nothing_to_draw(failing):
    found = failing("factory")
    assert found.is_empty


@pytest.mark.parametrize("ending", ["svg", "html", "png"])
def test_a_picture_of_it(run, failing, tmp_path, ending):
    file = tmp_path / f"net.{ending}"
    result = run("graph", "failing_nets:fifth", "--allow-code", "-o", file)
    assert result.code == 1
    assert "ValueError: not ready" in result.err
    if ending == "svg":
        text = file.read_text()
        assert "raises" in text
        assert "not ready" in text


def test_mistakes_of_rules_keep_the_model_in_the_picture():
    loaded = load_spec({"backbone": {"torchvision": "squeezenet1_1"}, "attention": [{"use": "se", "after": "nowhere"}]})
    with pytest.raises(GraphError) as caught:
        compose(loaded)
    found = sketch(loaded, caught.value.diagnostics)
    assert "features" in found.root.nodes
