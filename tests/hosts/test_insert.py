"""Insertions into modules written by hand: where they run, what they are called, that the rest stays as it was."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

import composer
from composer import ComposerError, GraphError, InputError, SpecError
from tests.hosts.nets import IDENTITY, IMAGES, Block, Giving, Handing, Net, Undecided, equal, numbers, state

SE = {"use": "se", **IDENTITY}
# A gate by another tensor, written as a block.
GATE = {
    "inputs": ["input", "guide"],
    "nodes": {
        "logit": {"op": "conv2d", "from": "guide", "out_channels": 1, "kernel_size": 1},
        "sigmoid": "sigmoid",
        "gated": {"op": "mul", "from": ["input", "sigmoid"], "broadcast": True},
    },
}


def put_in(model: nn.Module, rules: Any, **options: Any) -> Any:
    return composer.insert(model, rules, IMAGES, **options)


def moved(model: nn.Module) -> None:
    """Let what was inserted change the outputs."""
    for parameter in composer.inserted(model):
        if parameter.shape == (1,):
            parameter.data.fill_(0.5)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({"after": "blocks.*"}, ["blocks.0.out_se", "blocks.1.out_se"]),
        ({"before": "blocks.*"}, ["blocks.0.in_se", "blocks.1.in_se"]),
        ({"after": "blocks"}, ["blocks.out_se"]),
        ({"after": "stem"}, ["stem_se"]),
        ({"before": "blocks.*.conv2"}, ["blocks.0.pre_conv2_se", "blocks.1.pre_conv2_se"]),
        ({"after": "blocks.*.bn1"}, ["blocks.0.bn1_se", "blocks.1.bn1_se"]),
        ({"after": "blocks.1.add"}, ["blocks.1.add_se"]),
        ({"after": "blocks.*.act_2"}, ["blocks.0.act_2_se", "blocks.1.act_2_se"]),
    ],
)
def test_at_identity_start_nothing_changes_and_it_can_be_undone(where: dict[str, str], names: list[str]) -> None:
    model = Net().eval()
    before, keys, plain = state(model), list(model.state_dict()), model(IMAGES)
    report = put_in(model, {**SE, **where})
    assert list(report.places) == names
    assert equal(model(IMAGES), plain)
    assert [name for name in model.state_dict() if name not in report.keys] == keys
    assert all(name.startswith(tuple(names)) for name in report.keys)
    assert report.parameters == sum(parameter.numel() for parameter in composer.inserted(model))
    assert composer.check(model) == []
    moved(model)
    assert not equal(model(IMAGES), plain)
    model.train()(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    composer.remove(model.eval())
    assert state(model) == before


def test_a_forward_runs_what_a_person_would_write() -> None:
    model = Net().eval()
    put_in(model, {"use": "se", "after": "blocks.0.bn1", "with": {"reduction": 2}})
    block: Any = model.blocks[0]
    x = torch.randn(1, 8, 5, 5)
    y = block.conv2(block.act(block.bn1_se(block.bn1(block.conv1(x)))))
    assert torch.equal(block(x), torch.relu(x + y))
    # The second call of one activation has a place of its own.
    model = Net().eval()
    put_in(model, {"use": "se", "after": "blocks.0.act_2", "with": {"reduction": 2}})
    block = model.blocks[0]
    y = block.conv2(block.act(block.bn1(block.conv1(x))))
    assert torch.equal(block(x), block.act_2_se(torch.relu(x + y)))


def test_names_and_classes_stay_and_the_text_can_be_read() -> None:
    model = Net()
    put_in(model, {**SE, "after": "blocks.*.bn1"})
    made = type(model.blocks[0])
    assert made is type(model.blocks[1]) is not Block
    assert isinstance(model.blocks[0], Block)
    assert (made.__name__, made.__qualname__, made.__module__) == (Block.__name__, Block.__qualname__, Block.__module__)
    assert inspect.signature(made.forward) == inspect.signature(Block.forward)
    assert "bn1_se = self.bn1_se(bn1)" in inspect.getsource(made.forward)


def test_arguments_that_are_only_handed_on_stay_free_and_others_are_guarded() -> None:
    model = Handing().eval()
    plain = model.blocks[0](torch.ones(1, 8, 4, 4), torch.full((1, 8, 4, 4), 2.0), scale=3.0)
    put_in(model, {**SE, "after": "blocks.*.norm"})
    block: Any = model.blocks[0]
    assert torch.equal(block(torch.ones(1, 8, 4, 4), torch.full((1, 8, 4, 4), 2.0), scale=3.0), plain)
    model = Net().eval()
    put_in(model, {**SE, "after": "blocks.*.bn1"})
    with pytest.raises(ValueError, match=r"opened with scale=None, found 2\.0: `composer.remove`"):
        model.blocks[0](torch.ones(1, 8, 4, 4), 2.0)
    block = model.blocks[0]
    block.drop = 0.5
    with pytest.raises(ValueError, match=r"opened with drop=0\.1, found 0\.5"):
        model(IMAGES)
    # What runs at the ends leaves the forward as it is, so any argument goes.
    model = Net().eval()
    plain = model.blocks[0](torch.ones(1, 8, 4, 4), 2.0)
    put_in(model, {**SE, "after": "blocks.*"})
    assert torch.equal(model.blocks[0](torch.ones(1, 8, 4, 4), scale=2.0), plain)


def test_dropout_stays_on_in_training_and_off_in_evaluation() -> None:
    model = Net()
    put_in(model, {**SE, "after": "blocks.*.bn1"})
    block, x = model.blocks[0], torch.randn(1, 8, 6, 6)
    assert torch.equal(block.eval()(x), block(x))
    assert not torch.equal(block.train()(x), block(x))


def test_what_overwrites_a_tensor_gets_a_copy_where_an_insertion_needs_it() -> None:
    model = Net()
    rule = {"use": "conv2d", "beside": "blocks.*.act", "with": {"out_channels": 8, "kernel_size": 1}}
    put_in(model, rule)
    model(IMAGES).sum().backward()
    block: Any = model.eval().blocks[0]
    x = torch.randn(1, 8, 5, 5)
    inner = block.bn1(block.conv1(x))
    assert torch.equal(block(x), torch.relu(x + block.conv2(torch.relu(inner) + block.act_conv2d(inner))))


def test_an_attribute_that_is_none_is_filled_only_where_nothing_asks_for_it() -> None:
    model = Net().eval()
    before, plain = state(model), model(IMAGES)
    # At the one branch of a block the name is the mechanism's alone, as in specs.
    report = put_in(model, {**SE, "after": "branch"}, sites={"branch": "blocks.*.conv2"})
    assert report.places == ("blocks.0.se", "blocks.1.se")
    assert equal(model(IMAGES), plain)
    composer.remove(model)
    assert state(model) == before

    class Taken(Block):
        def __init__(self, width: int) -> None:
            super().__init__(width)
            self.out_se, self.out_se_2 = nn.Identity(), None

    model = Net()
    model.blocks = nn.ModuleList([Taken(8)])
    # The forward that runs as it was may read `out_se_2`.
    assert put_in(model, {**SE, "after": "blocks.0"}).places == ("blocks.0.out_se_3",)
    assert isinstance(model.blocks[0].out_se, nn.Identity)


def test_where_a_block_cannot_be_opened_its_modules_have_ends() -> None:
    model = Undecided().eval()
    before, plain = state(model), model(IMAGES)
    said = r"inserted into BatchNorm itself at `blocks.0.bn`, `blocks.1.bn`: convert_sync_"
    with pytest.warns(UserWarning, match=said):
        report = put_in(model, {**SE, "after": "blocks.*.bn"})
    assert report.places == ("blocks.0.bn.se", "blocks.1.bn.se")
    assert equal(model(IMAGES), plain)
    composer.remove(model)
    assert state(model) == before
    with pytest.raises(GraphError) as error:
        put_in(model, {**SE, "after": "blocks.*.add"})
    text = str(error.value)
    assert text.count("cannot be opened") == 1
    assert "`blocks.0` (Open) cannot be opened" in text
    assert "places here: before and after it and its modules: `conv`, `bn`" in text
    assert state(model) == before


@pytest.mark.parametrize("kind", ["named", "mapping", "list"])
def test_one_of_several_outputs_changes(kind: str) -> None:
    model = Giving(kind).eval()
    plain = model(IMAGES)
    put_in(model, {"use": "se", "after": "pair.two", "with": {"reduction": 2}})
    found = model(IMAGES)
    assert type(found) is type(plain)
    one, two = numbers(plain)
    assert torch.equal(numbers(found)[0], one)
    assert torch.equal(numbers(found)[1], model.pair.two_se(two))


def test_containers_hide_what_stands_beside_their_own() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()), nn.Flatten())
    model.eval()
    plain = model(IMAGES)
    put_in(model, [{**SE, "after": "1"}, {"use": "eca", "after": "1.0", "start": "identity"}])
    inner: Any = model[1]
    assert equal(model(IMAGES), plain)
    assert (len(inner), len(list(inner)), type(inner[-1])) == (2, 2, nn.ReLU)
    assert [type(one) for one in inner[:1]] == [nn.BatchNorm2d]
    assert {"out_se", "at0_eca"} <= dict(inner.named_children()).keys()
    assert type(copy.deepcopy(model)[1]) is type(inner)


def test_replacing_takes_the_name_and_the_keys() -> None:
    model = Net()
    keys, before = list(model.state_dict()), state(model)
    old = model.blocks[0].conv1
    report = put_in(
        model, {"use": "conv2d", "replace": "blocks.0.conv1", "with": {"out_channels": 8, "kernel_size": 1}}
    )
    assert list(model.state_dict()) == keys
    assert model.blocks[0].conv1.weight.shape == (8, 8, 1, 1)
    assert (report.keys, report.removed) == ((), ())
    composer.remove(model)
    assert model.blocks[0].conv1 is old
    assert state(model) == before
    put_in(model, {"use": "conv2d", "replace": "blocks.0.conv1", "with": {"out_channels": 8, "kernel_size": 1}})
    put_in(model, {**SE, "after": "blocks.*"})
    composer.remove(model)
    assert model.blocks[0].conv1 is old
    assert old.weight.device.type == "cpu"
    assert state(model) == before
    report = put_in(model, {"remove": "blocks.*.bn1"})
    assert len(report.removed) == 10
    assert not any("bn1" in name for name in model.state_dict())
    model(IMAGES)
    composer.remove(model)
    assert state(model) == before


def test_insertions_stack_and_leave_one_by_one() -> None:
    model = Net().eval()
    before, plain = state(model), model(IMAGES)
    put_in(model, {**SE, "after": "blocks.*"})
    first = model.blocks[0].out_se
    put_in(model, "- {use: eca, after: blocks.*, start: identity}\n- {use: eca, after: stem, start: identity}")
    assert model.blocks[0].out_se is first
    assert equal(model(IMAGES), plain)
    at_once = Net().eval()
    put_in(at_once, composer.rules_of(model))
    assert list(at_once.state_dict()) == list(model.state_dict())
    report = composer.remove(model, 0)
    assert not any("_se" in name for name in model.state_dict())
    assert len(report.removed) == 10
    assert [*model.blocks[0].state_dict()][-1] == "out_eca.conv.weight"
    with pytest.raises(InputError, match="there is no rule 2: the model has 2, counted from 0"):
        composer.remove(model, 2)
    composer.remove(model)
    assert state(model) == before
    with pytest.raises(InputError, match="nothing was inserted into this model"):
        composer.remove(model)


def stacked() -> Net:
    """Two mechanisms with weights at the same places, the second twice."""
    model = Net(3).eval()
    rules = "- {use: se, after: blocks.*, with: {reduction: 2}}\n- {use: se, after: blocks.*, with: {reduction: 4}}"
    put_in(model, f"{rules}\n- {{use: eca, after: stem}}")
    moved(model)
    return model


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (0, 2),
        ("eca", 2),
        ("se", 1),
        ({"use": "eca", "after": ["stem"]}, 2),
        ("{use: se, after: blocks.*, with: {reduction: 2}}", 2),
        ([1, "eca"], 1),
        ("{attention: [{use: eca, after: stem}, {use: se, after: blocks.*, with: {reduction: 4}}]}", 1),
        ("stem_eca", 2),
    ],
)
def test_rules_are_taken_out_by_number_by_what_they_say_or_by_their_mechanism(wanted: Any, left: int) -> None:
    model = stacked()
    report = composer.remove(model, wanted)
    assert report.removed
    assert len(yaml.safe_load(composer.rules_of(model))) == left
    alone = Net(3).eval()
    put_in(alone, composer.rules_of(model))
    assert list(alone.state_dict()) == list(model.state_dict())
    assert composer.check(model) == []


def test_what_stays_keeps_its_weights_under_the_name_that_it_would_have_alone() -> None:
    model = stacked()
    second = model.blocks[0].out_se_2
    composer.remove(model, {**SE, "after": "blocks.*", "with": {"reduction": 2}, "start": None})
    assert model.blocks[0].out_se is second
    assert not hasattr(model.blocks[0], "out_se_2")
    x = model.stem(IMAGES)
    assert torch.equal(model.blocks[0](model.stem_eca(x)), second(Block.forward(model.blocks[0], model.stem_eca(x))))


@pytest.mark.parametrize(
    ("rule", "wanted", "stays", "now"),
    [
        ({}, "blocks.1.out_se", [0, 2], {"where": "path not in ['blocks.1']"}),
        ({}, "blocks.[01].*", [2], {"where": "path in ['blocks.2']"}),
        ({"expect": 3, "where": "block != 9"}, ["blocks.0.out_se"], [1, 2], {"expect": 2}),
        ({"every": 2}, "blocks.1.**", [3], {"where": "path in ['blocks.3']"}),
        ({"share": "all"}, "blocks.0.out_se", [1, 2], {"share": "all"}),
    ],
)
def test_insertions_are_taken_out_by_their_paths(
    rule: dict[str, Any], wanted: Any, stays: list[int], now: dict[str, Any]
) -> None:
    model = Net(4 if "every" in rule else 3).eval()
    before = state(model)
    put_in(model, [{**SE, "after": "blocks.*", **rule}, {**SE, "after": "stem"}])
    moved(model)
    old = {number: getattr(one, "out_se", None) for number, one in enumerate(model.blocks)}
    composer.remove(model, wanted)
    for number, one in enumerate(model.blocks):
        assert hasattr(one, "out_se") == (number in stays)
        assert number not in stays or one.out_se is old[number] or "share" in rule
    first, second = yaml.safe_load(composer.rules_of(model))
    assert now.items() <= first.items()
    assert second == {**SE, "after": "stem"}
    if "where" in rule:
        assert first["where"] == "(block != 9) and path not in ['blocks.0']"
    assert composer.check(model) == []
    again = Net(len(model.blocks))
    put_in(again, composer.rules_of(model))
    assert list(again.state_dict()) == list(model.state_dict())
    composer.remove(model, "**.out_se" if len(stays) < 2 else "blocks.*.out_se")
    composer.remove(model, 0)
    assert state(model) == before


def test_an_insertion_is_put_in_the_place_of_a_module_or_before_one_and_taken_out_by_its_path() -> None:
    model = Net().eval()
    before = state(model)
    rules = [{"use": "condconv", "replace": "blocks.*.conv1"}, {"use": "eca", "before": "blocks.*.conv2"}]
    put_in(model, rules)
    assert type(model.blocks[1].conv1).__name__ == "CondConv"
    composer.remove(model, ["blocks.1.conv1", "blocks.0.pre_conv2_eca"])
    kinds = [(type(one.conv1).__name__, hasattr(one, "pre_conv2_eca")) for one in model.blocks]
    assert kinds == [("CondConv", False), ("Conv2d", True)]
    composer.remove(model, ["condconv", "eca"])
    assert state(model) == before


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (5, "there is no rule 5: the model has 3, counted from 0"),
        (True, "`True` names no insertion"),
        (1.5, "`1.5` names no insertion"),
        ("ec", "nothing that was inserted is called `ec`"),
        (
            "cbam",
            "the insertions are `stem_eca`, `blocks.0.out_se`, `blocks.0.out_se_2`, `blocks.1.out_se`, … (7 in all)",
        ),
        ("blocks.9.**", "nothing that was inserted is called `blocks.9.**`"),
        ({"use": "eca", "after": "blocks.*"}, "no rule of this model is `{use: eca, after: blocks.*}`"),
        ("{use: eca, after: head}", "rule 2 is `{use: eca, after: stem}`"),
        ({"use": "eca", "afer": "stem"}, "did you mean `after`"),
    ],
)
def test_what_was_not_inserted_cannot_be_taken_out(wanted: Any, text: str) -> None:
    model = stacked()
    before = state(model)
    with pytest.raises(ComposerError) as error:
        composer.remove(model, wanted)
    assert text in str(error.value)
    assert state(model) == before


def test_what_stays_must_stay_what_it_is() -> None:
    model = Net()
    # Places take turns to shift their windows.
    put_in(model, {"use": "window", "after": "blocks.*", "with": {"num_heads": 2, "window": 2}})
    before = state(model)
    with pytest.raises(InputError, match=r"`blocks\.1\.out_window` cannot stay what it is"):
        composer.remove(model, "blocks.0.out_window")
    assert state(model) == before


def test_rules_keep_the_vars_that_they_read() -> None:
    model = Net()
    rules = {"vars": {"r": 4}, "attention": [{"use": "se", "after": "blocks.*", "with": {"reduction": "$r"}}]}
    put_in(model, rules)
    put_in(model, {"use": "eca", "after": "stem"})
    again = Net()
    put_in(again, composer.rules_of(model))
    assert {name: one.shape for name, one in again.state_dict().items()} == {
        name: one.shape for name, one in model.state_dict().items()
    }
    composer.remove(model, "eca")
    assert model.blocks[0].out_se.fc1.out_channels == 2


def test_weights_depend_on_seed_and_path_and_follow_their_host() -> None:
    models = [Net().to(torch.bfloat16).eval() for _ in range(2)]
    for model in models:
        put_in(model, [{**SE, "after": "blocks.1"}], seed=3)
    one, other = (model.blocks[1].out_se.fc1.weight for model in models)
    assert one.dtype is torch.bfloat16
    assert torch.equal(one, other)
    assert not models[0].blocks[1].out_se.training
    model = Net()
    composer.insert(model.blocks[1], {**SE, "after": "conv1"}, torch.randn(1, 8, 4, 4))
    assert "blocks.1.conv1_se.fc1.weight" in model.state_dict()
    with pytest.raises(InputError, match=r"inserted into `blocks\.1`"):
        composer.rules_of(model)
    assert len(composer.inserted(model)) == 5
    # An insertion around one that is there already.
    put_in(model, {**SE, "after": "blocks.*.conv2"})
    with pytest.raises(InputError, match="something else has changed since"):
        composer.remove(model.blocks[1])
    composer.remove(model)
    composer.remove(model.blocks[1])
    assert list(model.state_dict()) == list(Net().state_dict())


def test_a_module_that_several_call_is_edited_once() -> None:
    model = Net(3).eval()
    model.blocks[2] = model.blocks[0]
    plain = model(IMAGES)
    report = put_in(model, {**SE, "after": "blocks.0"})
    assert equal(model(IMAGES), plain)
    assert report.places == ("blocks.0.out_se",)
    moved(model)
    block, other = model.blocks[0], model.blocks[1]
    x = block(other(block(model.stem(IMAGES))))
    assert torch.equal(model(IMAGES), model.head(x.mean((2, 3))))


def test_check_says_what_does_not_run_any_more() -> None:
    model = Net()
    put_in(model, {**SE, "after": "blocks.*"})
    model.blocks[0] = Block(8)
    del model.blocks[1].out_se
    assert composer.check(model) == [
        "`blocks.0` is a plain Block now, which does not run what was inserted",
        "`blocks.1` has lost `out_se`",
    ]
    with pytest.raises(InputError, match=r"`blocks\.0` is a Block that something else has changed since"):
        composer.remove(model)


@pytest.mark.parametrize(
    ("rules", "kind", "text"),
    [
        ({"use": "se", "after": "nowhere"}, GraphError, "no place is called `nowhere`"),
        ({"use": "seee", "after": "stem"}, GraphError, "unknown mechanism `seee`"),
        ({"use": "se", "afer": "stem"}, SpecError, "did you mean `after`"),
        ("- {use: se, after: stem, with: {ratio: 2}}", GraphError, "<rules>:1:33"),
        (
            [{**SE, "after": "stem"}, {"use": "conv2d", "after": "blocks.0", "with": {"out_channels": 9}}],
            GraphError,
            "",
        ),
    ],
)
def test_on_an_error_the_model_is_as_it_was(rules: Any, kind: Any, text: str) -> None:
    model = Net()
    before = state(model)
    with pytest.raises(kind) as error:
        put_in(model, rules)
    assert text in str(error.value)
    assert state(model) == before


class FSDPModule:
    """Called as the class that fully_shard mixes in."""


def test_modules_that_cannot_be_edited_say_why() -> None:
    with pytest.raises(InputError, match=r"is a torch.fx GraphModule"):
        put_in(torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 8, 3))), {**SE, "after": "0"})
    with pytest.raises(InputError, match=r"the model is compiled"):
        put_in(torch.compile(Net()), {**SE, "after": "stem"})
    model = Net()
    model.blocks[0].forward = model.blocks[0].forward
    before = state(model)
    with pytest.raises(GraphError, match=r"`blocks\.0` has a `forward` set on the object"):
        put_in(model, {**SE, "after": "blocks.*"})
    assert state(model) == before
    model = Net()
    model.blocks[0].__class__ = type("FSDPBlock", (FSDPModule, Block), {})
    before = state(model)
    with pytest.raises(GraphError, match=r"`blocks\.0` is managed by FSDP"):
        put_in(model, {**SE, "after": "blocks.*"})
    assert state(model) == before
    with pytest.raises(InputError, match="cannot be recorded with this example: RuntimeError"):
        composer.insert(Net(), {**SE, "after": "stem"}, torch.zeros(1, 4, 16, 16))
    with pytest.raises(InputError, match="`example` is a int"):
        composer.insert(Net(), {**SE, "after": "stem"}, 3)


def test_a_report_is_a_text() -> None:
    model = Net()
    assert str(put_in(model, {**SE, "after": "stem"})) == "1 place, 5 new keys, +77 parameters: `stem_se`"
    assert str(composer.remove(model)) == (
        "5 keys removed, -77 parameters: `stem_se.fc1.bias`, `stem_se.fc1.weight`, "
        "`stem_se.fc2.bias`, `stem_se.fc2.weight`, … (5 in all)"
    )


def test_two_tensors_of_one_forward() -> None:
    rules = {
        "blocks": {"gate": GATE},
        "attention": [{"use": "gate", "after": "blocks.*.conv2", "from": {"guide": "./conv1"}}],
    }
    model = Net().eval()
    put_in(model, rules)
    block: Any = model.blocks[0]
    x = torch.randn(1, 8, 5, 5)
    guide = block.conv1(x)
    y: Tensor = block.gate(block.conv2(block.act(block.bn1(guide))), guide)
    assert torch.equal(block(x), torch.relu(x + y))
    copied = Net()
    put_in(copied, composer.rules_of(model))
    assert list(copied.state_dict()) == list(model.state_dict())


def test_a_tensor_of_another_module_is_handed_on() -> None:
    rules = {"blocks": {"gate": GATE}, "attention": []}
    model = Net().eval()
    before = state(model)
    # The activation overwrites what the norm gave, which is what the rule wants.
    rules["attention"] = [{"use": "gate", "after": "blocks.1.conv2", "from": {"guide": "../0/bn1"}}]
    put_in(model, rules)
    first, second = model.blocks
    x = model.stem(IMAGES)
    guide = first.bn1(first.conv1(x))
    x = Block.forward(first, x)
    y = second.conv2(second.act(second.bn1(second.conv1(x))))
    expected = model.head(torch.relu(x + second.gate(y, guide)).mean((2, 3)))
    assert torch.equal(model(IMAGES), expected)
    assert torch.equal(copy.deepcopy(model)(IMAGES), expected)
    assert torch.allclose(torch.fx.symbolic_trace(model)(IMAGES), expected, atol=1e-6)
    with pytest.raises(TypeError, match="an insertion here takes `0_bn1` from another module"):
        second(x)
    composer.remove(model)
    assert state(model) == before
    model = Undecided()
    rules["attention"] = [{"use": "gate", "after": "blocks.1", "from": {"guide": "/stem"}}]
    with pytest.raises(GraphError, match=r"`blocks\.1` \(Open\) cannot be opened"):
        put_in(model, rules)


def test_the_sites_that_were_recognised_are_places() -> None:
    model = Net().eval()
    plain = model(IMAGES)
    report = put_in(model, {**SE, "after": "branch"})
    assert report.places == ("blocks.0.se", "blocks.1.se")
    assert equal(model(IMAGES), plain)
    with pytest.raises(InputError, match=r"`block\.\*` of site `block` matches no node"):
        put_in(Net(), {**SE, "after": "block"}, sites={"block": "block.*"})


def test_one_mechanism_for_several_places_is_held_around_them() -> None:
    model = Net(3).eval()
    before, plain = state(model), model(IMAGES)
    report = put_in(model, {"use": "se", "after": "blocks.*", "share": "all", "with": {"reduction": 2}})
    assert report.places == ("blocks.0.out_se", "blocks.1.out_se", "blocks.2.out_se")
    assert all(name.startswith("shared_out_se.") for name in report.keys)
    x = model.stem(IMAGES)
    for block in model.blocks:
        x = model.shared_out_se(Block.forward(block, x))
    assert torch.equal(model(IMAGES), model.head(x.mean((2, 3))))
    copied = copy.deepcopy(model)
    assert equal(copied(IMAGES), model(IMAGES))
    assert copied.blocks[1].out_se.module is copied.shared_out_se
    composer.remove(model)
    assert equal(model(IMAGES), plain)
    assert state(model) == before


class Featured(Net):
    """Another method runs the same children, as in timm's models."""

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


def test_other_methods_of_the_model_run_it_too() -> None:
    model = Featured().eval()
    before = state(model)
    report = put_in(model, {"use": "se", "after": "stem", "with": {"reduction": 2}})
    assert report.places == ("stem_se",)
    assert "stem_se.fc1.weight" in model.state_dict()
    features = model.forward_features(IMAGES)
    assert torch.equal(model.head(features.mean((2, 3))), model(IMAGES))
    assert torch.equal(Net.forward(model, IMAGES), model(IMAGES))
    copied = copy.deepcopy(model)
    copied.stem_se = nn.Identity()
    assert not equal(copied(IMAGES), model(IMAGES))
    composer.remove(model)
    assert state(model) == before
    # After the whole list there is no module whose end that is, so the forward alone has it, and the report says so.
    with pytest.warns(UserWarning, match="the model runs what was inserted in its forward, not in `forward_features`"):
        put_in(model, {"use": "se", "after": "blocks", "with": {"reduction": 2}})


class Joining(nn.Module):
    """A block of a U-Net's decoder, which is given its skip connection by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, x: Tensor, height: int, *, skip: Tensor) -> Tensor:
        x = nn.functional.interpolate(x, size=(height, height))
        result: Tensor = self.conv(torch.cat([x, skip], 1))
        return result


class Decoding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.join = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, 2, 1), Joining()

    def forward(self, x: Tensor) -> Tensor:
        skip = self.first(x)
        result: Tensor = self.join(self.second(skip), skip.shape[2], skip=skip)
        return result


def test_a_gate_of_two_tensors_goes_before_a_concatenation() -> None:
    gate = {
        "inputs": ["input", "guide"],
        "nodes": {"gated": {"op": "mul", "from": ["input", "guide"]}},
    }
    rule = {"use": "gate", "before": "join.concat", "input": 1, "from": {"guide": "./interpolate"}}
    model = Decoding().eval()
    composer.insert(model, {"blocks": {"gate": gate}, "attention": [rule]}, IMAGES)
    for images in (IMAGES, torch.randn(1, 3, 24, 24)):
        skip = model.first(images)
        up = nn.functional.interpolate(model.second(skip), size=skip.shape[2:])
        assert torch.equal(model(images), model.join.conv(torch.cat([up, skip * up], 1)))


def test_a_second_report_tells_of_what_is_new() -> None:
    model = Net()
    put_in(model, {**SE, "after": "stem"})
    report = put_in(model, {**SE, "after": "blocks.0"})
    assert report.places == ("blocks.0.out_se",)
    assert all(key.startswith("blocks.0.out_se") for key in report.keys)
    assert report.parameters == sum(one.numel() for one in model.blocks[0].out_se.parameters()) + 1


def test_an_unknown_place_of_a_model_in_memory_names_near_paths_and_what_lists_them():
    model = nn.Sequential(OrderedDict(u1=nn.Conv2d(3, 8, 3), act=nn.ReLU()))
    with pytest.raises(composer.GraphError) as caught:
        composer.insert(model, {"use": "se", "after": "u3"}, torch.zeros(1, 3, 8, 8))
    help = " ".join(caught.value.diagnostics[0].help)
    assert "the nearest paths are `u1`, `act`" in help
    assert "`composer.view(model, example)`" in help
    assert "composer sites" not in help


class Reading(Net):
    """Reads values of its input, so that no meta device can stand in for it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if float(x.sum()) < 1e9 else -x)


@pytest.mark.parametrize("made", [Net, Reading])
def test_in_inference_mode_it_works_too(made: type[nn.Module]) -> None:
    """And what was inserted there can be trained."""
    model = made()
    with torch.inference_mode():
        images = IMAGES.clone()
        assert composer.view(model, images).num_parameters == sum(one.numel() for one in model.parameters())
        composer.insert(model, {"use": "eca", "after": "blocks.0"}, images)
        composer.insert(model, {"use": "se", "after": "blocks.1", "with": {"reduction": 2}}, images)
        composer.remove(model, "eca")
        assert composer.view(made(), images)
        assert composer.compose("timm:resnet10t")
        assert torch.is_inference_mode_enabled()
    new = composer.inserted(model)
    assert new
    model(IMAGES).sum().backward()
    assert all(one.grad is not None for one in new)
