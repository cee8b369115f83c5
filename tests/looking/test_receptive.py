"""Effective receptive fields against what theory says of stacks, strides and attention."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.looking.receptive import effective_receptive_field, of_both, share_of_area, side


def stack(depth: int, *, attention=(), size=(31, 33), **conv):
    """Convolutions of 3×3 without anything between them."""
    node = {"op": "conv2d", "out_channels": 2, "kernel_size": 3, **conv}
    nodes = {f"conv{number}": node for number in range(1, depth + 1)}
    return {"name": "stack", "input": [2, *size], "nodes": nodes, "attention": list(attention)}


def with_ones(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    return model


def support(field):
    rows, columns = (field > 0).nonzero(as_tuple=True)
    return (int(rows.min()), int(rows.max())), (int(columns.min()), int(columns.max()))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_stack_of_ones_is_a_box_convolved_with_itself(depth):
    model = with_ones(composer.build(stack(depth)))
    field = effective_receptive_field(model, f"conv{depth}", samples=1)
    line = torch.ones(1, dtype=torch.float64)
    for _ in range(depth):
        line = torch.nn.functional.conv1d(line[None, None], torch.ones(1, 1, 3).double(), padding=2)[0, 0]
    wanted = line[:, None] * line
    at = torch.zeros(31, 33, dtype=torch.float64)
    at[15 - depth : 16 + depth, 16 - depth : 17 + depth] = wanted / wanted.max()
    assert torch.allclose(field.double(), at, atol=1e-6)
    assert share_of_area(field, 0) == (2 * depth + 1) ** 2 / (31 * 33)
    assert side(field, 0) == 2 * depth + 1


def test_the_effective_field_is_a_smaller_share_of_the_theoretical_one_the_deeper_a_network_is():
    model = with_ones(composer.build(stack(12)))
    sides = {depth: side(effective_receptive_field(model, f"conv{depth}", samples=1)) for depth in (3, 6, 12)}
    shares = [sides[depth] / (2 * depth + 1) for depth in (3, 6, 12)]
    assert sides[3] < sides[6] < sides[12]
    assert 1 > shares[0] > shares[1] > shares[2]


def test_strides_put_the_centre_where_the_convolution_does():
    spec = stack(1, stride=4, kernel_size=5, padding=1, size=(32, 32))
    field = effective_receptive_field(composer.build(spec), "conv1", samples=1)
    # 8 positions; the centre is 4, whose window starts 1 before pixel 16.
    assert composer.graph(spec).root.nodes["conv1"].tensor.shape[2:] == (8, 8)
    assert support(field) == ((15, 19), (15, 19))


def test_two_strided_convolutions():
    spec = stack(2, stride=2, size=(24, 20))
    # Position 3 of 6 rows takes 5..7 of 12, those 9..15 of 24; position 2 of 5 columns 3..5 of 10, those 5..11 of 20.
    field = effective_receptive_field(composer.build(spec), "conv2", samples=1)
    assert support(field) == ((9, 15), (5, 11))


@pytest.mark.parametrize(("use", "options"), [("se", {"hidden": 2}), ("ge_minus", {"extent": 0})])
def test_attention_over_the_whole_map_widens_the_field(use, options):
    spec = stack(2, attention=[{"use": use, "after": "conv1", "with": options}])
    model = composer.build(spec)
    for path in ("conv1", "conv2"):
        ours, theirs = of_both(model, path, samples=8)
        depth = int(path[-1])
        assert share_of_area(theirs, 0) == (2 * depth + 1) ** 2 / (31 * 33)
        assert share_of_area(ours, 0) == 1
    # What stands before attention has the field it had.
    before = composer.build(stack(2, attention=[{"use": use, "after": "conv2", "with": options}]))
    assert torch.equal(*of_both(before, "conv1", samples=2))


def test_the_plain_network_has_the_weights_of_the_other():
    model = composer.build(stack(2, attention=[{"use": "se", "after": "conv2", "with": {"hidden": 2}}]), seed=1)
    with torch.no_grad():
        model.conv1.weight[:, :, 0] = 0
    _, theirs = of_both(model, "conv2", samples=1)
    assert support(theirs) == ((14, 17), (14, 18))


def test_a_mean_over_inputs_that_the_seed_decides():
    spec = stack(2)
    spec["nodes"] = {"conv1": spec["nodes"]["conv1"], "act": "relu", "conv2": spec["nodes"]["conv2"]}
    model = composer.build(spec)
    one, other = (effective_receptive_field(model, "conv2", samples=2, seed=seed) for seed in (0, 1))
    assert not torch.equal(one, other)
    assert torch.equal(one, effective_receptive_field(model, "conv2", samples=2))
    # By hand: both inputs come from one generator, one after the other.
    generator, total = torch.Generator().manual_seed(0), torch.zeros(31, 33)
    for _ in range(2):
        x = torch.randn((1, 2, 31, 33), generator=generator).requires_grad_()
        model(x)[0, :, 15, 16].sum().backward()
        total += x.grad[0].abs().sum(0)
    assert torch.allclose(one, total / total.max(), atol=1e-6)


def test_an_activation_behind_the_node_does_not_overwrite_it():
    spec = {"backbone": "resnet18", "vars": {"num_classes": 3}}
    model = composer.build(spec)
    field = effective_receptive_field(model, "bn1", (32, 32), samples=2)
    assert support(field) == ((13, 19), (13, 19))


def test_functions_have_fields_and_other_sizes_do():
    # Else the branch starts at 0, and the block sees what its shortcut sees.
    model = composer.build("resnet18", vars={"zero_init_last": False})
    field = effective_receptive_field(model, "layer1.0.add", (48, 40), samples=2)
    assert field.shape == (48, 40)
    assert field.max() == 1
    # Stem: 7 with stride 2, pool: 3 with stride 2; two convolutions of 3×3 at a stride of 4: 11 + 4·4 pixels.
    assert support(field)[0][1] - support(field)[0][0] + 1 == 27


TOKENS = {
    "name": "tokens",
    "input": [3, 24, 16],
    "nodes": {
        "proj": {"op": "conv2d", "out_channels": 4, "kernel_size": 8, "stride": 8, "padding": 0},
        "to_tokens": "map_to_tokens",
        "cls_token": {"op": "parameter", "shape": [1, 1, 4]},
        "tokens": {"op": "prepend_token", "from": ["cls_token", "to_tokens"]},
        "attn": {"op": "mhsa", "num_heads": 2},
        "mixed": {"op": "map_to_tokens", "from": "proj", "axis": "channels"},
    },
    "outputs": {"tokens": "attn", "mixed": "mixed"},
}


@pytest.mark.parametrize("path", ["to_tokens", "tokens"])
def test_tokens_are_positions_behind_a_class_token(path):
    field = effective_receptive_field(composer.build(TOKENS), path, samples=2)
    # Patch 1, 1 of 3×2.
    assert support(field) == ((8, 15), (8, 15))


def test_attention_between_tokens_sees_everything():
    assert share_of_area(effective_receptive_field(composer.build(TOKENS), "attn", samples=4), 0) == 1


def test_maps_with_channels_last():
    field = effective_receptive_field(composer.build("convnext_tiny"), "stem", samples=1)
    assert support(field) == ((112, 115), (112, 115))


@pytest.mark.parametrize(
    ("spec", "path", "size", "text"),
    [
        (stack(1), "conv7", None, "did you mean `conv1`"),
        (TOKENS, "cls_token", None, "which is no map"),
        (TOKENS, "mixed", None, "which is no map"),
        ("resnet18", "fc", None, "which is no map"),
        ("vit_tiny_patch16_224", "blocks.0", (64, 64), "cannot take an input of 64×64"),
        (stack(1, padding=0), "conv1", (2, 2), "cannot take an input of 2×2"),
    ],
)
def test_what_has_no_field_is_said(spec, path, size, text):
    with pytest.raises(composer.InputError, match=text):
        effective_receptive_field(composer.build(spec), path, size, samples=1)


def test_a_node_of_attention_has_none_in_the_plain_network():
    model = composer.build(stack(1, attention=[{"use": "se", "after": "conv1", "name": "gate", "with": {"hidden": 2}}]))
    assert effective_receptive_field(model, "conv1_gate", samples=1).max() == 1
    with pytest.raises(composer.InputError, match="no node `conv1_gate`"):
        of_both(model, "conv1_gate", samples=1)


def test_nothing_that_depends_on_the_input_is_zero_everywhere():
    spec = stack(1)
    model = composer.build(spec)
    torch.nn.init.zeros_(model.conv1.weight)
    field = effective_receptive_field(model, "conv1", samples=1)
    assert not field.any()
    with pytest.raises(ValueError, match="at least one"):
        effective_receptive_field(model, "conv1", samples=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_network_is_as_it_was(mode):
    model = composer.build(
        {"backbone": "resnet18", "vars": {"num_classes": 3}, "attention": [{"use": "se", "after": "branch"}]}
    )
    model.layer2.eval()
    model.fc.weight.requires_grad_(False)
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with mode():
        of_both(model, "layer2", (32, 32), samples=1)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    assert model.fc.weight.requires_grad is False
    assert [name for name, one in model.named_parameters() if one.grad is not None] == ["conv1.weight"]
    assert model.conv1.weight.grad.eq(1).all()
