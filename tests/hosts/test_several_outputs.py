"""Rules at modules that give tuples and mappings: the output that is named changes, the rest passes through."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import GraphError, SpecError
from tests.hosts.nets import IMAGES, Giving, Net, Outputs, equal, numbers, state

SE = {"use": "se", "with": {"reduction": 2}}


@pytest.mark.parametrize(
    ("kind", "output", "number"),
    [("named", 0, 0), ("named", 1, 1), ("mapping", "a", 0), ("mapping", "b", 1), ("plain", 0, 0), ("plain", "1.0", 1)],
)
def test_the_output_that_is_named_changes_and_the_rest_passes(kind: str, output: Any, number: int) -> None:
    model = Giving(kind).eval()
    before, plain = state(model), model(IMAGES)
    report = composer.insert(model, {**SE, "after": "pair", "output": output}, IMAGES)
    name = "out2_se" if number else "out_se"
    assert report.places == (f"pair.{name}",)
    found, wanted = model(IMAGES), numbers(plain)
    assert type(found) is type(plain)
    wanted[number] = model.pair.get_submodule(name)(wanted[number])
    assert all(map(torch.equal, numbers(found), wanted))
    assert equal(copy.deepcopy(model)(IMAGES), found)
    assert equal(pickle.loads(pickle.dumps(model))(IMAGES), found)
    again = Giving(kind)
    composer.insert(again, composer.rules_of(model), IMAGES)
    assert list(again.state_dict()) == list(model.state_dict())
    composer.remove(model, f"pair.{name}")
    assert state(model) == before


def test_rules_at_several_outputs_stack_on_each_and_start_as_the_identity() -> None:
    model = Giving("named").eval()
    plain = model(IMAGES)
    rules = [
        {**SE, "after": "pair", "output": number, "start": "identity", "expect": 1, "where": "channels == 8"}
        for number in (1, 0, 1)
    ]
    report = composer.insert(model, rules, IMAGES)
    assert set(report.places) == {"pair.out2_se", "pair.out_se", "pair.out2_se_2"}
    assert equal(model(IMAGES), plain)
    for one in (model.pair.out_se_gamma, model.pair.out2_se_gamma, model.pair.out2_se_2_gamma):
        one.data.fill_(1)
    a, b = numbers(plain)
    pair = model.pair
    torch.testing.assert_close(list(model(IMAGES)), [pair.out_se(a), pair.out2_se_2(pair.out2_se(b))])


class Twice(nn.Module):
    """Takes both tensors of a nested pair."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pair, self.end = nn.Conv2d(3, 8, 3), Outputs("plain"), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, (b,) = self.pair(self.stem(x))
        result: Tensor = self.end(a * b)
        return result


def test_what_takes_an_output_takes_the_changed_one() -> None:
    model = Twice().eval()
    rules: Any = [
        {**SE, "after": "pair", "output": "1.0"},
        {"use": "eca", "before": "pair"},
        {"use": "eca", "beside": "pair", "output": 0},
    ]
    composer.insert(model, rules, IMAGES)
    pair, x = model.pair, model.stem(IMAGES)
    given = pair.in_eca(x)
    wanted = model.end((pair.one(given) + pair.out_eca(given)) * pair.out2_se(pair.two(given)))
    torch.testing.assert_close(model(IMAGES), wanted)


class Same(nn.Module):
    """Gives one tensor twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        return x, x


def test_one_tensor_that_is_given_twice() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), Same()).eval()
    plain = model(IMAGES)
    composer.insert(model, {**SE, "after": "2", "output": 1}, IMAGES)
    found = model(IMAGES)
    assert torch.equal(found[0], plain[0])
    assert torch.equal(found[1], model[2].out2_se(plain[1]))
    composer.remove(model)
    before = state(model)
    gate = {"inputs": ["input", "guide"], "nodes": {"gated": {"op": "mul", "from": ["input", "guide"]}}}
    rule = {"use": "gate", "after": "2", "output": 1, "from": {"guide": "/0"}}
    with pytest.raises(GraphError, match=r"`2` \(Same\) cannot be opened: it returns `conv` more than once"):
        composer.insert(model, {"blocks": {"gate": gate}, "attention": [rule]}, IMAGES)
    assert state(model) == before


class Attending(nn.Module):
    """A module of torch without parts of its own here, which gives a pair, or a tensor and None."""

    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.stem, self.attn = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, batch_first=True)
        self.weights = weights

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x).flatten(2).transpose(1, 2)
        y, maps = self.attn(x, x, x, need_weights=self.weights)
        return (x + y).mean(1) if maps is None else ((x + y).mean(1), maps)


class Undecided(Attending):
    """Its own forward cannot be written down, so that insertions stand in the modules beside them."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) if x.sum() > -1e9 else x


@pytest.mark.parametrize("made", [Attending, Undecided])
@pytest.mark.parametrize(("weights", "output"), [(True, 0), (True, None), (False, 0), (False, None)])
def test_results_of_an_operation(made: Any, weights: bool, output: Any) -> None:
    model = made(weights).eval()
    plain = model(IMAGES)
    rule = {
        "use": "layer_scale",
        "after": "attn",
        "with": {"init_values": 3.0},
        **({} if output is None else {"output": 0}),
    }
    composer.insert(model, rule, IMAGES)
    x = model.stem(IMAGES).flatten(2).transpose(1, 2)
    y, _ = nn.MultiheadAttention.forward(model.attn, x, x, x)
    found = model(IMAGES)
    torch.testing.assert_close(found[0] if weights else found, (x + 3 * y).mean(1))
    assert not weights or torch.equal(found[1], plain[1])


def test_the_second_result_of_an_operation() -> None:
    model = Attending(True).eval()
    plain = model(IMAGES)
    composer.insert(model, {"use": "relu", "after": "attn", "output": 1}, IMAGES)
    assert equal(model(IMAGES), plain)
    rule = {"use": "dropout", "after": "attn", "output": 1, "with": {"p": 0.5}}
    composer.insert(model, rule, IMAGES)
    assert equal(model(IMAGES), plain)
    torch.manual_seed(0)
    found = model.train()(IMAGES)
    assert torch.equal(found[0], plain[0])
    assert (found[1] == 0).any()
    composer.remove(model, "attn_2_dropout")
    assert composer.rules_of(model).strip() == "- {use: relu, after: attn, output: 1}"


class Handing(nn.Module):
    """Hands a mask on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x) * mask, mask


class Handed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 8, 1), Handing(), Handing()

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x, mask = self.one(x, x.sigmoid())
        return self.two(x, mask)[0]


@pytest.mark.parametrize(
    ("model", "rule", "texts"),
    [
        (
            Giving("named"),
            {"after": "pair"},
            ["`pair` has several outputs", "`output: 0`", "its outputs are `0` (b×8×14×14), `1` (b"],
        ),
        (Giving("mapping"), {"after": "pair", "output": "c"}, ["`pair` has no output `c`", "`a`, `b`"]),
        (Giving("mapping"), {"after": "pair", "output": 1}, ["`pair` has no output `1`"]),
        (Giving("plain"), {"after": "pair", "output": 1}, ["`pair` has no output `1`", "`0`, `1.0`"]),
        (Giving("named"), {"replace": "pair"}, ["has several outputs", "a node inside it that has one"]),
        (Net(), {"after": "blocks.0", "output": 0}, ["`blocks.0` gives a tensor, so `output` has nothing to choose"]),
        (Net(), {"after": "blocks.0.conv1", "output": 0}, ["`blocks.0.conv1` gives a tensor"]),
        (Handed(), {"after": "one", "output": 1}, ["`one` hands its input `mask` on as output `1`", "`before`, with"]),
        (Attending(True), {"after": "attn", "output": 2}, ["`attn` has no output `2`", "`0`, `1`"]),
    ],
)
def test_an_output_that_is_not_there_is_answered_with_those_that_are(
    model: nn.Module, rule: dict[str, Any], texts: list[str]
) -> None:
    before = state(model)
    with pytest.raises(GraphError) as error:
        composer.insert(model, {**SE, **rule}, IMAGES)
    for text in texts:
        assert text in str(error.value)
    assert state(model) == before


@pytest.mark.parametrize("position", ["before", "replace"])
def test_positions_without_an_output(position: str) -> None:
    with pytest.raises(SpecError, match=f"what goes `{position}` a place .* so `output` has nothing to choose"):
        composer.insert(Net(), {**SE, position: "blocks.0", "output": 0}, IMAGES)
    with pytest.raises(SpecError, match="`remove` takes a node out, so `output` has nothing to say"):
        composer.insert(Net(), {"remove": "blocks.0", "output": 0}, IMAGES)


def test_a_place_of_the_zoo_has_no_output_to_choose() -> None:
    spec = {"backbone": "resnet18", "attention": [{**SE, "after": "block", "output": 0}]}
    with pytest.raises(GraphError) as error:
        composer.graph(spec)
    assert "what a module of another library gives, and `layer1.0` is none" in str(error.value)


SWIN = {
    "model_type": "swin",
    **{"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4},
}


def test_a_layer_of_transformers_that_gives_a_tuple() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.SwinModel(transformers.SwinConfig(**SWIN)).eval()
    images = torch.randn(2, 3, 32, 32)
    plain = model(images, output_hidden_states=True)
    rules: Any = [
        {**SE, "after": "encoder.layers.0", "output": 0, "start": "identity"},
        {**SE, "after": "encoder.layers.*", "output": 1, "start": "identity"},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = composer.insert(model, rules, images)
    assert len(report.places) == 3
    found = model(images, output_hidden_states=True)
    assert torch.equal(found.last_hidden_state, plain.last_hidden_state)
    assert all(map(torch.equal, found.hidden_states, plain.hidden_states))
    model.encoder.layers[0].out_se_gamma.data.fill_(1)
    assert not torch.equal(model(images).last_hidden_state, plain.last_hidden_state)


def test_a_mapping_of_transformers_in_a_spec() -> None:
    pytest.importorskip("transformers")
    rule = {**SE, "after": "swin", "output": "last_hidden_state", "start": "identity"}
    backbone = {"transformers": {**SWIN, "num_labels": 3}, "class": "SwinForImageClassification"}
    spec = {"backbone": backbone, "input": [3, 32, 32], "attention": [rule]}
    model, alone = composer.build(spec).eval(), composer.build({**spec, "attention": []}).eval()
    assert "swin.out_se.fc1.weight" in model.state_dict()
    alone.load_state_dict({key: one for key, one in model.state_dict().items() if "out_se" not in key})
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(images).logits, alone(images).logits)
    with pytest.raises(GraphError, match="`output: last_hidden_state`"):
        composer.graph({**spec, "attention": [{**SE, "after": "swin"}]})
