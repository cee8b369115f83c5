"""The battery over every mechanism of the registry, with its defaults and with options that change its computation."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import composer
from composer import contract, registry
from composer.contract import Subject
from composer.contract.subject import shake
from tests.mechanisms.case import in_words
from tests.mechanisms.cases import ALWAYS, ENTRIES, case_of

# Seconds each: in the quick suite with the defaults of one mechanism of each kind, the rest with `-m slow`.
COSTLY = {"ONNX", "torch.export", "torch.export of any size", "torch.compile", "PT2E"}
COMPILED = {"cbam", "ge", "sk", "dynconv", "mhsa", "bot"}
# What every mechanism shows in every suite.
FIRST = {
    *("documented", "keeps the shape", "every parameter learns", "deterministic", "attention values"),
    "half precision",
}
# A tenth of a second and more: with options they are slow, and test_every_option.py traces each option. In place of a
# convolution in groups all are slow, and test_every_option.py takes such places.
LENGTHY = {"symbolic_trace", "keeps the shape", "scales 1e-4 to 1e4", "jit.trace", "gradients are right"}
# Large kernels and windows, which take seconds in bfloat16 on a CPU.
LONG = {"outlook", "relu_linear"}


def is_quick(name, check, options, groups):
    """Whether a check runs without `-m slow`: half a second of CPU for most mechanisms."""
    plain = not options and groups == 1
    if name not in ALWAYS:
        return plain and check in FIRST
    if check in COSTLY:
        return plain and name in COMPILED
    return plain if check in LENGTHY else groups == 1


def batteries():
    for entry in ENTRIES:
        case = case_of(entry.name)
        options = [({}, 1), *((one, 1) for one in case.options), *([({}, 16)] if entry.replaces else [])]
        for one, groups in options:
            words = in_words(one)
            for check in contract.checks_of(entry):
                if (words, check) in case.left_out:
                    continue
                name = " ".join(filter(None, [entry.name, words, "groups=16" * (groups > 1), check]))
                marks = [] if is_quick(entry.name, check, one, groups) else [pytest.mark.slow]
                refusal = case.refusals.get((words, check))
                yield pytest.param(Subject(entry, one, groups), check, refusal, id=name, marks=marks)


@pytest.mark.parametrize(("subject", "check", "refusal"), list(batteries()))
def test_contract(subject, check, refusal):
    found = contract.verdict(subject, check, contract.CHECKS[check])
    if refusal is None:
        assert found.status == "ok", found.detail
    else:
        assert (found.status, found.detail[: len(refusal)]) == ("refused", refusal)


@pytest.mark.parametrize(
    ("name", "options", "shape", "rule"),
    [(entry.name, *value) for entry in ENTRIES for value in case_of(entry.name).values],
    ids=lambda value: str(value),
)
def test_attention_values(name, options, shape, rule):
    height, width = (max(side, case_of(name).least) for side in (5, 7))
    subject = Subject(registry.get(name), options)
    # Small enough that no gate is rounded to its end.
    module, x = subject.build(height, width).eval(), subject.sample(3, height, width) / 4
    # At birth some have one value everywhere.
    shake(module)
    attention = module.attention(x)
    sizes = {"b": 3, "c": 64, "h": height, "w": width, "n": height * width}
    assert attention.shape == tuple(sizes.get(axis) or int(axis) for axis in shape.split())
    assert attention.isfinite().all()
    if isinstance(rule, tuple):
        assert rule[0] < attention.min()
        assert attention.max() < rule[1]
    elif rule is not None:
        total = attention.sum(rule)
        torch.testing.assert_close(total, torch.ones_like(total))
    assert attention.std() > 0
    if subject.entry.applied in ("gate", "1 + gate") and subject.entry.kind != "fusion":
        # A gate times the input, or what the module moves it to, is the output; a fusion adds other tensors.
        gated = getattr(module, "gated", lambda x: x)(x)
        torch.testing.assert_close(module(x), gated * attention)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES if case_of(entry.name).fused])
def test_softmax_over_tokens_is_fused(name, layout):
    subject = Subject(registry.get(name))
    module, x = subject.build().eval(), subject.sample()
    x = x.to(memory_format=layout) if x.ndim == 4 else x
    # Raises where no fused kernel takes the tensors.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION), torch.no_grad():
        module(x)
    if "backward" in case_of(name).fused:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            module(x.requires_grad_()).sum().backward()


@pytest.mark.parametrize(
    "entry",
    [pytest.param(one, id=one.name, marks=pytest.mark.slow if one.name in LONG else ()) for one in ENTRIES],
)
def test_statistics_in_bfloat16_are_exact_enough(entry):
    """A sum kept in bf16 stops growing at 256; a mean over 40 × 40 shows it."""
    subject = Subject(entry)
    module = subject.build(40, 40).to(torch.bfloat16).eval()
    x = subject.sample(2, 40, 40).add(1).to(torch.bfloat16)
    coarse = module.attention(x).float()
    fine = module.float().attention(x.float())
    # On average: one logit of 30 may be off by 0.2 from rounding alone. A gate without a sigmoid is of any size.
    assert (coarse - fine).abs().mean() < 0.01 * max(1, fine.abs().mean().item())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_file_is_named_after_the_mechanism(entry):
    module = inspect.getmodule(entry.factory)
    package, _, file = module.__name__.rpartition(".")
    room = "all_positions" if entry.group == "global" else entry.group
    assert package == f"composer.mechanisms.{room}"
    # `se_var3` is another name of `ese`; `lambda` is a word of Python.
    assert registry.get(file.rstrip("_")).factory is entry.factory
    assert module.__doc__
    assert entry.summary.endswith(".")


class OwnLinear(nn.Linear):
    """A linear map of a class that no quantiser knows."""


class Wrong(nn.Module):
    """Wrong in a way.

    Shape:   b c h w -> b c h w
    """

    def __init__(self, channels: int, *, way: str = ""):
        super().__init__()
        self.way, self.calls = way, 0
        self.conv = nn.Conv2d(channels, channels, 1)
        self.unused = nn.Parameter(torch.zeros(1))
        self.act = nn.ReLU()
        if way == "own linear":
            self.own = OwnLinear(channels, channels)
        self.register_buffer("seen", torch.zeros(1))
        if way in ("forgets", "forgets wrongly"):
            self.register_buffer("scale", torch.full((1,), 2.0), persistent=False)
        if way == "forgets wrongly":
            self.init_non_persistent_buffers = lambda: self.scale.fill_(3)

    def attention(self, x):
        return x.flatten(1).sum(0)

    def forward(self, x):
        self.seen += 1
        y = self.conv(x)
        if self.way == "shape":
            return y[:, :1]
        if self.way == "twice":
            return self.act(self.conv(self.act(y)))
        if self.way == "own linear":
            return self.own(y.movedim(1, -1)).movedim(-1, 1)
        if self.way == "input":
            return x.mul_(2)
        if self.way == "batch":
            return y + y.mean(0, keepdim=True)
        if self.way == "random":
            return y + torch.rand_like(y)
        if self.way == "precision":
            return y.float()
        if self.way == "gradient":
            return y * y.detach()
        if self.way == "size" and tuple(x.shape[2:]) not in ((9, 11), (14, 10)):
            raise RuntimeError("another size")
        if self.way == "overflow":
            return y if x.dtype == torch.float32 else y / 0
        if self.way == "break":
            return y if y.mean() > 0 else -y
        if self.way.startswith("forgets"):
            return y * self.scale
        if self.way == "format":
            return y.contiguous()
        if self.way == "gradient's format":
            return x.flatten(1).unflatten(1, x.shape[1:]).contiguous(memory_format=torch.channels_last)
        if self.way == "counts":
            # Traced, the batch of the trace would stay; here it is a step that tracing forgets.
            self.calls += 1
            return (y * self.calls).square()
        if self.way == "value":
            return y * x.mean().item()
        return y


@pytest.mark.parametrize(
    ("way", "check", "said"),
    [
        ("", "documented", "lacks Math:, Params:, MACs:, Source:, Departs:, Start:"),
        ("", "every parameter learns", "no gradient reaches unused"),
        ("", "deterministic", "changes its state"),
        ("", "attention values", "for a batch of 2"),
        ("shape", "keeps the shape", "becomes (1, 1, 1, 1)"),
        ("input", "leaves its input", "changes its input"),
        ("batch", "samples do not mix", "depends on its batch"),
        ("random", "deterministic", "two runs in eval mode differ"),
        ("random", "copies", "deep copy"),
        ("precision", "half precision", "bfloat16 becomes torch.float32"),
        ("gradient", "gradients are right", "Error"),
        ("overflow", "scales 1e-4 to 1e4", "not finite in bfloat16 at a scale of"),
        ("size", "torch.export of any size", "Error"),
        ("break", "torch.compile", "Unsupported"),
        ("break", "vmap", "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow"),
        ("value", "jit.trace", "recorded by torch.jit.trace it computes something else"),
        ("counts", "checkpointing", "checkpointed, the gradient of conv.weight is another"),
        ("own linear", "quantize_dynamic", "quantize_dynamic leaves own, of a class of its own, in float"),
        ("twice", "PT2E", "torchao refuses it: Input partition has more than one output node; a layer that `forward`"),
        ("break", "symbolic_trace", "symbolically traced variables cannot be used as inputs to control flow; put what"),
        ("counts", "symbolic_trace", "traced it changes its state otherwise"),
        ("forgets", "derived buffers", "no state_dict holds `scale`, which is lost where a network is built on the"),
        ("forgets wrongly", "derived buffers", "`init_non_persistent_buffers()` does not bring `scale` back"),
        ("format", "memory formats", "a channels_last input gives an output that is not"),
        ("gradient's format", "memory formats", "a channels_last input gets a gradient that is not"),
    ],
)
def test_every_check_can_fail(way, check, said):
    composer.mechanism("test_wrong", kind="channel")(Wrong)
    subject = Subject(registry.get("test_wrong"), {"way": way}, channels=2)
    found = contract.verdict(subject, check, contract.CHECKS[check])
    assert found.status == "failed"
    assert said in found.detail


class Small(nn.Conv2d):
    """Smaller than the convolution it replaces."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__(in_channels, out_channels, 3, stride, padding=1, bias=False)

    def forward(self, x):
        return super().forward(x)[..., : 7 if self.stride == (1, 1) else 3]


def test_the_shape_of_a_convolution_and_the_example_are_checked():
    composer.mechanism("test_small", kind="kernel", replaces="conv")(Small)
    subject = Subject(registry.get("test_small"), channels=2)
    found = contract.verdict(subject, "keeps the shape", contract.CHECKS["keeps the shape"])
    assert found.status == "failed"
    parts = "\n".join(f"{part}: ?" for part in contract.behaviour.SECTIONS)
    Small.__doc__ = f"Small.\n\n{parts}\n\n>>> sum(p.numel() for p in Small(2, 3).parameters())\n1\n"
    found = contract.verdict(subject, "documented", contract.CHECKS["documented"])
    assert (found.status, found.detail) == ("failed", "the docstring's example is not true: 1 Got: 54")


class Deciding(nn.Module):
    """Turn its input round where it is positive on average, and so it cannot be traced."""

    def forward(self, x):
        return x if x.mean() > 0 else -x


def test_a_mechanism_may_say_that_its_values_decide():
    composer.mechanism("test_deciding", kind="channel")(Deciding)
    found = contract.verdict(
        Subject(registry.get("test_deciding")), "symbolic_trace", contract.CHECKS["symbolic_trace"]
    )
    assert (found.status, found.detail) == ("refused", "it cannot be traced")


@pytest.mark.slow
def test_checks_fail_without_assertions_too(tmp_path):
    plugin = tmp_path / "bad.py"
    plugin.write_text(
        "import composer\nfrom torch import nn\n\n\n@composer.mechanism('bad_in_test', kind='channel')\n"
        "class Bad(nn.Module):\n    def forward(self, x):\n        return x.mean((2, 3))\n"
    )
    code = (
        "from composer import contract, registry\n"
        f"registry.load_plugin({str(plugin)!r})\n"
        "subject = contract.Subject(registry.get('bad_in_test'))\n"
        "for name in ('documented', 'keeps the shape', 'empty batch', 'meta device', 'trains on one image'):\n"
        "    print(contract.verdict(subject, name, contract.CHECKS[name]).status)\n"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["failed"] * 5


def test_no_check_is_an_assertion():
    for file in Path(contract.__file__).parent.glob("*.py"):
        asserted = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Assert)]
        assert not [node for node in asserted if node.msg], "`python -O` takes assertions out"
