"""One battery over every mechanism of the registry, with its defaults."""

import copy
import inspect
import pickle

import pytest
import torch
from torch.func import functional_call

from composer import registry

pytestmark = pytest.mark.filterwarnings("error")

SECTIONS = ("Shape:", "Math:", "Params:", "MACs:", "Source:", "Departs:")

# name -> (shape of the map, rule). Symbols: b batch, c channels, h w height and width, n tokens, 8 heads, 2 branches.
# Rule: a pair is an open interval; a number is the axis that sums to 1.
ATTENTION = {
    "se": ("b c 1 1", (0, 1)),
    "se_var1": ("b c 1 1", (0, 1)),
    "se_var2": ("b c 1 1", (0, 1)),
    "se_var3": ("b c 1 1", (0, 1)),
    "ese": ("b c 1 1", (0, 1)),
    "eca": ("b c 1 1", (0, 1)),
    "cbam": ("b c h w", (0, 1)),
    "cbam_channel": ("b c 1 1", (0, 1)),
    "cbam_spatial": ("b 1 h w", (0, 1)),
    "bam": ("b c h w", (1, 2)),
    "bam_channel": ("b c 1 1", (1, 2)),
    "bam_spatial": ("b 1 h w", (1, 2)),
    "ge_minus": ("b c 1 1", (0, 1)),
    "ge": ("b c 1 1", (0, 1)),
    "ge_plus": ("b c 1 1", (0, 1)),
    "sk": ("b 2 c 1 1", 1),
    "splat": ("b 2 c 1 1", 1),
    "condconv": ("b 8", (0, 1)),
    "dynconv": ("b 4", 1),
    "mhsa": ("b 8 n n", -1),
    "sa": ("b 1 n n", -1),
    "nl": ("b 1 n n", -1),
    "bot": ("b 4 n n", -1),
    "sasa": ("b 8 h w 25", -1),
}

# Options with which 8 channels on 4 × 4 positions are enough.
SMALL = {"sasa": {"window": 3, "num_heads": 2}, "splat": {"cardinality": 2, "floor": 4}}

ENTRIES = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]


def cases():
    for entry in ENTRIES:
        for groups in (1, 32) if entry.replaces else (1,):
            yield pytest.param((entry, groups), id=f"{entry.name}-g{groups}" if entry.replaces else entry.name)


@pytest.fixture(params=cases())
def case(request):
    return request.param


def build(case, height=7, width=7, channels=64, **options):
    """The mechanism at a place of this size, its options untouched unless given."""
    entry, groups = case
    place = {
        "channels": channels,
        "height": height,
        "width": width,
        "tokens": height * width,
        "in_channels": channels,
        "out_channels": channels,
        "kernel_size": 3,
        "stride": 1,
        "padding": 1,
        "dilation": 1,
        "groups": min(groups, channels),
        "bias": False,
    }
    torch.manual_seed(0)
    return entry.factory(**{fact: place[fact] for fact in entry.facts}, **options)


def sample(case, batch=2, height=7, width=7, channels=64, **settings):
    shape = (batch, height * width, channels) if case[0].layout == "b n c" else (batch, channels, height, width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), **settings)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (13, 17), (1, 1), (32, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_keeps_the_shape(case, batch, height, width):
    x = sample(case, batch, height, width)
    try:
        module = build(case, height, width)
    except ValueError as refusal:
        # Known when the spec is checked; anything else is a failure.
        if "is larger than the map" not in str(refusal):
            raise
        pytest.skip(f"refused for this size: {refusal}")
    y = module.eval()(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.isfinite().all()


def test_trains_on_a_batch(case):
    module, x = build(case).train(), sample(case).requires_grad_()
    module(x).square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_batch_of_one_trains_or_says_why_not(case):
    module, x = build(case).train(), sample(case, 1)
    needs_two = "needs a batch of at least 2" in " ".join(case[0].doc.split())
    if needs_two:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            module(x)
    else:
        assert module(x).shape == x.shape


def test_every_parameter_gets_a_gradient(case):
    # In eval mode: training a batch norm makes the gradient of a bias before it zero.
    module = build(case).eval()
    # What starts at 0 on purpose would hide what stands before it.
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x = sample(case, 8).requires_grad_()
    module(x).square().sum().backward()
    without = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert x.grad.any()


def test_eval_is_deterministic_and_keeps_no_state(case):
    module, x = build(case).eval(), sample(case)
    before = copy.deepcopy(module.state_dict())
    first = module(x)
    assert torch.equal(first, module(x))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("training", [False, True])
def test_leaves_its_input_alone(case, training):
    x = sample(case)
    before = x.clone()
    build(case).train(training)(x)
    assert torch.equal(x, before)


def test_samples_do_not_mix(case):
    module, x = build(case).eval(), sample(case, 3)
    alone = torch.cat([module(one) for one in x.split(1)])
    torch.testing.assert_close(module(x), alone)


def test_empty_batch(case):
    module, x = build(case).eval(), sample(case, 0)
    assert module(x).shape == x.shape
    if hasattr(module, "attention"):
        assert module.attention(x).shape[0] == 0


@pytest.mark.parametrize("training", [False, True])
def test_bf16(case, training):
    module = build(case).to(torch.bfloat16).train(training)
    x = sample(case, dtype=torch.bfloat16).requires_grad_()
    y = module(x)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert y.isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())


def test_bf16_statistics_are_exact_enough(case):
    """A sum kept in bf16 stops growing at 256; a mean over 40 x 40 shows it."""
    if not hasattr(case[0].factory, "attention"):
        pytest.skip("has no attention map")
    module = build(case, 40, 40).to(torch.bfloat16).eval()
    x = sample(case, 2, 40, 40, dtype=torch.float32).add(1).to(torch.bfloat16)
    coarse = module.attention(x).float()
    fine = module.float().attention(x.float())
    # On average: one logit of 30 may be off by 0.2 from rounding alone.
    assert (coarse - fine).abs().mean() < 0.01


def test_autocast(case):
    x = sample(case)
    with torch.autocast("cpu", torch.bfloat16):
        y = build(case).eval()(x)
    assert y.isfinite().all()


def test_deepcopy_and_pickle(case):
    module, x = build(case).eval(), sample(case)
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)


def test_state_dict_round_trip(case):
    module, x = build(case).eval(), sample(case)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    other = build(case).eval()
    other.load_state_dict(module.state_dict(), strict=True)
    assert torch.equal(other(x), module(x))


def test_meta_device(case):
    with torch.device("meta"):
        module = build(case)
    x = sample(case, 2).to("meta")
    assert {tensor.device.type for tensor in module.state_dict().values()} <= {"meta"}
    assert module(x).shape == x.shape


def test_compiles_without_a_break(case):
    torch.compiler.reset()
    module, x = build(case).eval(), sample(case)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), module(x))


def test_exports(case):
    module, x = build(case).eval(), sample(case)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    other = sample(case, 5)
    torch.testing.assert_close(program.module()(other), module(other))


def test_gradients_are_right(case):
    module = build(case, 4, 4, channels=8, **SMALL.get(case[0].name, {})).double().eval()
    names, values = zip(*module.named_parameters(), strict=True) if any(True for _ in module.parameters()) else ((), ())

    def run(x, *parameters):
        return functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    x = sample(case, 2, 4, 4, channels=8, dtype=torch.float64).requires_grad_()
    # Fresh biases are zero, and behind a dead relu the next one would sit exactly on its kink.
    generator = torch.Generator().manual_seed(3)
    noise = (torch.randn(value.shape, generator=generator, dtype=torch.float64) for value in values)
    values = tuple((value.detach() + 0.3 * step).requires_grad_() for value, step in zip(values, noise, strict=True))
    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


def test_attention_map(case):
    entry, _ = case
    if not hasattr(entry.factory, "attention"):
        pytest.skip("has no attention map")
    assert entry.name in ATTENTION, f"write the shape and the rule of {entry.name}'s map into ATTENTION"
    shape, rule = ATTENTION[entry.name]
    height, width = 5, 7
    options = {"window": 5} if entry.name == "sasa" else {}
    module, x = build(case, height, width, **options).eval(), sample(case, 3, height, width)
    attention = module.attention(x)
    sizes = {"b": 3, "c": 64, "h": height, "w": width, "n": height * width}
    assert attention.shape == tuple(sizes.get(axis) or int(axis) for axis in shape.split())
    if isinstance(rule, tuple):
        assert rule[0] < attention.min()
        assert attention.max() < rule[1]
    else:
        total = attention.sum(rule)
        torch.testing.assert_close(total, torch.ones_like(total))
    assert attention.std() > 0


def test_attention_is_what_forward_uses(case):
    """A gate times the input is the output, wherever the map is a gate."""
    entry, _ = case
    if entry.kind == "kernel" or not isinstance(ATTENTION.get(entry.name, (None, None))[1], tuple):
        pytest.skip("its map is not a gate on the input")
    module, x = build(case).eval(), sample(case)
    torch.testing.assert_close(module(x), x * module.attention(x))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_docstring_has_its_parts_in_order(entry):
    positions = [entry.doc.find(section) for section in SECTIONS]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert ">>> sum(p.numel()" in entry.doc
    assert entry.summary.endswith(".")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_file_is_named_after_the_mechanism(entry):
    module = inspect.getmodule(entry.factory)
    package, _, file = module.__name__.rpartition(".")
    assert package == "composer.mechanisms"
    # `se_var3` is another name of `ese`.
    assert registry.get(file).factory is entry.factory
    assert module.__doc__
