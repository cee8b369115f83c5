import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.layers import CondConv2d

import composer
from composer.kernels import set_kernels
from composer.mechanisms.kernel import condconv
from composer.mechanisms.kernel.condconv import CondConv
from composer.mechanisms.kernel.dynconv import DynamicConv


def mixed(slow, w, module, sample, mix, stride, padding, groups):
    kernel = sum(a * expert for a, expert in zip(mix, w["weight"], strict=True)).reshape(module.shape)
    bias = sum(a * expert for a, expert in zip(mix, w["bias"], strict=True)) if "bias" in w else None
    return slow.conv2d(sample, kernel, bias, stride=stride, padding=padding, groups=groups)


@pytest.mark.parametrize(("kernel", "groups", "stride"), [(1, 1, 1), (3, 1, 2), (3, 4, 1), (5, 2, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_condconv_equals_the_equations(kernel, groups, stride, bias, slow, randomise, image):
    module, w = randomise(CondConv(4, 8, kernel, stride, groups=groups, bias=bias, num_experts=3))
    x = image(2, 4, 6, 5)
    expected = []
    for sample in x.numpy():
        gates = slow.sigmoid(slow.linear(w["router.weight"][:, :, None, None], w["router.bias"], sample.mean((1, 2))))
        expected.append(mixed(slow, w, module, sample, gates, stride, kernel // 2, groups))
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [30.0, 1.0])
@pytest.mark.parametrize("bias", [True, False])
def test_dynamic_convolution_equals_the_equations(temperature, bias, slow, randomise, image):
    module, w = randomise(DynamicConv(4, 6, 3, 2, groups=2, bias=bias, num_experts=3, reduction=2))
    module.temperature.fill_(temperature)
    x = image(2, 4, 6, 5)
    expected = []
    for sample in x.numpy():
        hidden = np.maximum(slow.linear(w["fc1.weight"], w["fc1.bias"], sample.mean((1, 2))), 0)
        mix = slow.softmax(slow.linear(w["fc2.weight"], w["fc2.bias"], hidden) / temperature)
        expected.append(mixed(slow, w, module, sample, mix, 2, 1, 2))
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected), rtol=0, atol=1e-9)


def test_by_hand():
    """Experts 1 and 3 with gates 3/4 and 1/2 make 2.25; with softmax of ln 3 and 0 they make 1.5."""
    gated = CondConv(1, 1, 1, num_experts=2).double()
    chosen = DynamicConv(1, 1, 1, num_experts=2, temperature=1.0).double()
    with torch.no_grad():
        for module in (gated, chosen):
            module.weight.copy_(torch.tensor([[1.0], [3.0]]))
        gated.router.weight.zero_()
        gated.router.bias.copy_(torch.tensor([math.log(3), 0]))
        chosen.fc2.weight.zero_()
        chosen.fc2.bias.copy_(torch.tensor([math.log(3), 0]))
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    assert gated(one).item() == pytest.approx(2.25, abs=1e-7)
    assert chosen(one).item() == pytest.approx(1.5, abs=1e-7)


@pytest.mark.parametrize(("kernel", "groups"), [(1, 1), (3, 1), (3, 8)])
def test_equals_timm_with_its_gates(kernel, groups, randomise):
    options = {"groups": groups, "bias": True, "num_experts": 4}
    theirs, _ = randomise(CondConv2d(8, 16, kernel, stride=2, padding=kernel // 2, **options))
    ours = CondConv(8, 16, kernel, 2, router="given", **options).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 8, 7, 9, dtype=torch.float64)
    gates = torch.rand(3, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(x, gates), theirs(x, gates), rtol=0, atol=1e-11)


def test_one_router_for_the_convolutions_of_a_block():
    given = {"op": "condconv", "out_channels": 8, "router": "given", "num_experts": 3}
    spec = {
        "input": [4, 6, 6],
        "nodes": {
            "router": {"op": "condconv_router", "num_experts": 3},
            "one": {**given, "from": ["input", "router"]},
            "two": {**given, "from": ["one", "router"]},
        },
    }
    model = composer.build(spec)
    assert not [name for name in model.state_dict() if "router" in name.split(".")[1:-1]]
    model(torch.randn(2, 4, 6, 6)).sum().backward()
    assert model.get_parameter("router.weight").grad.any()
    with pytest.raises(composer.GraphError, match="takes the gates as a second input"):
        composer.graph({"input": [4, 6, 6], "nodes": {"one": {**spec["nodes"]["one"], "from": "input"}}})


@pytest.mark.parametrize("kind", [CondConv, DynamicConv])
def test_output_spread_is_that_of_a_plain_convolution(kind):
    """Each expert starts like a convolution of its own, so the scale stays within a factor of 2 or so."""
    torch.manual_seed(0)
    x = torch.randn(4, 64, 14, 14)
    plain = torch.nn.Conv2d(64, 64, 3, padding=1, bias=False)
    torch.nn.init.kaiming_normal_(plain.weight, mode="fan_out", nonlinearity="relu")
    ratio = (kind(64, 64)(x).std() / plain(x).std()).item()
    assert 0.4 < ratio < 2


@pytest.mark.parametrize("kind", [CondConv, DynamicConv])
def test_padding_keeps_the_size_unless_given(kind):
    x = torch.randn(1, 4, 9, 9)
    for kernel, dilation in ((1, 1), (3, 1), (3, 2), (5, 1)):
        assert kind(4, 4, kernel, dilation=dilation)(x).shape == x.shape
    assert kind(4, 4, 3, padding=0)(x).shape == (1, 4, 7, 7)
    expected = F.conv2d(x, torch.zeros(4, 4, 3, 5), padding=(1, 2)).shape
    assert kind(4, 4, (3, 5))(x).shape == expected


def test_parameters():
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(CondConv(16, 32, 3, bias=True)) == 8 * (32 * 16 * 9 + 32) + 8 * 17
    assert count(DynamicConv(16, 32, 3, groups=4)) == 4 * 32 * 4 * 9 + 16 * 4 + 4 + 4 * 4 + 4


@pytest.mark.parametrize("kind", [CondConv, DynamicConv])
def test_refuses_groups_that_do_not_divide(kind):
    with pytest.raises(ValueError, match="8 output channels do not divide into 3 groups; set groups to 2"):
        kind(6, 8, groups=3)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kind", [CondConv, DynamicConv])
def test_mixing_outputs_is_mixing_kernels(kind, groups, randomise, image, monkeypatch):
    module, _ = randomise(kind(8, 12, 3, 2, groups=groups, bias=True))
    x = image(3, 8, 6, 5)
    expected = module(x)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("samples", "shape", "mixes_outputs"),
    [(16, (8, 3, 3), True), (16, (8,), True), (15, (8, 3, 3), False), (16, (8, 9, 9), False)],
)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [CondConv, DynamicConv])
def test_few_outputs_of_experts_are_mixed_themselves(
    kind, groups, samples, shape, mixes_outputs, randomise, monkeypatch
):
    size = {"kernel_size": 3, "stride": 2} if len(shape) == 3 else {"kernel_size": 1}
    module, _ = randomise(kind(8, 12, **size, groups=groups, bias=True, num_experts=4))
    plain = copy.deepcopy(module)
    set_kernels(plain, "reference")
    ran = []
    mix = condconv.mix_outputs
    monkeypatch.setattr(condconv, "mix_outputs", lambda *given: ran.append(mix(*given)) or ran[-1])
    formats = (torch.contiguous_format, torch.channels_last) if len(shape) == 3 else (torch.contiguous_format,)
    for memory_format in formats:
        found = []
        for one in (module, plain):
            x = torch.randn(samples, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            x = x.to(memory_format=memory_format).requires_grad_()
            y = one(x)
            y.square().sum().backward()
            found.append([y, x.grad, *(weight.grad for weight in one.parameters())])
            one.zero_grad()
        for mine, other in zip(*found, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
        assert found[0][0].stride() == found[1][0].stride()
    assert len(ran) == (len(formats) if mixes_outputs else 0)


@pytest.mark.parametrize("kind", [CondConv, DynamicConv])
def test_of_vectors_it_is_a_linear_layer_for_each(kind, randomise):
    module, w = randomise(kind(6, 5, 1, bias=True, num_experts=3))
    x = torch.randn(4, 6, dtype=torch.float64)
    mix = module.attention(x)
    for one, shares, found in zip(x, mix, module(x), strict=True):
        weight = sum(a * torch.from_numpy(expert).view(5, 6) for a, expert in zip(shares, w["weight"], strict=True))
        bias = sum(a * torch.from_numpy(expert) for a, expert in zip(shares, w["bias"], strict=True))
        torch.testing.assert_close(found, weight @ one + bias, rtol=0, atol=1e-10)
    assert module(x[:0]).shape == (0, 5)
    assert torch.equal(torch.fx.symbolic_trace(module)(x), module(x))


def shared_routers_save(name, **changes):
    """What a network's routers would be fewer if the convolutions of a block shared the first one's."""
    model = composer.build(name, device="meta", **changes)
    blocks = {}
    for path, module in model.named_modules():
        if isinstance(module, CondConv):
            blocks.setdefault(path.rpartition(".")[0], []).append(module.router)
    routers = [router for several in blocks.values() for router in several[1:]]
    return sum(value.numel() for router in routers for value in router.parameters())


@pytest.mark.parametrize(
    ("name", "rules", "published"),
    [
        ("mobilenetv2_100", [{"use": "condconv", "replace": "head", "with": {"bias": False}}], 22_877_496),
        ("efficientnet_b0", [], 24_013_284),
    ],
)
def test_condconv_networks_have_the_size_of_their_ports(name, rules, published):
    """Those of d-li14/condconv.pytorch, whose convolutions of a block share a router; one classifier has experts."""
    spec = {"backbone": f"papers/condconv/{name}", "attention": rules}
    assert composer.graph(spec).num_parameters - shared_routers_save(spec) == published


def test_what_a_linear_layer_hands_on():
    rule = {"use": "condconv", "replace": "head", "with": {"num_experts": 2}}
    model = composer.build({"backbone": "resnet18", "vars": {"num_classes": 7}, "attention": [rule]})
    head = model.get_classifier()
    assert type(head) is CondConv
    assert tuple(head.weight.shape) == (2, 7 * 512)
    assert tuple(head.bias.shape) == (2, 7)
    assert model.num_classes == 7
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 7)
    with pytest.raises(composer.GraphError, match="`sk` stands in for a convolution, `fc` is `linear`"):
        composer.graph({"backbone": "resnet18", "attention": [{**rule, "use": "sk", "with": {}}]})
    mlp = {"use": "condconv", "replace": "blocks.0.mlp.fc1"}
    with pytest.raises(composer.GraphError, match="`condconv` stands in for a convolution"):
        composer.graph({"backbone": "vit_tiny_patch16_224", "attention": [mlp]})
