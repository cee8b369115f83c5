"""The battery over every mechanism of the registry, with its defaults and with options that change its computation."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import composer
from composer import contract, registry
from composer.contract import Subject

# Besides the defaults, which are always checked.
OPTIONS = {
    "se": [{"act": "silu", "gate": "hard_sigmoid", "bias": False}],
    "ese": [{"gate": "hard_sigmoid"}],
    "cbam": [{"norm": True}],
    "bam": [{"fuse": "add", "norm": "none"}],
    "ge_minus": [{"extent": 2}],
    "ge": [{"extent": 4}, {"norm": "none"}],
    "ge_plus": [{"extent": 2, "norm": "layer"}],
    "sk": [{"branches": 1}, {"branches": 3, "norm": "layer"}],
    "splat": [{"radix": 0}, {"radix": 1}, {"radix": 4, "norm": "layer"}],
    "dynconv": [{"temperature": 1.0, "num_experts": 2}],
    "mhsa": [{"num_heads": 3, "head_dim": 10, "bias": False}, {"mode": "hard"}],
    "nl": [{"scale": True}],
    "sasa": [{"window": 5, "num_heads": 4}],
}
BATCH_OF_TWO = "in training it needs a batch of at least 2"
POOLED_NORMS = ("bam", "bam_channel", "ge", "ge_plus", "sk", "splat")
LARGER = "sasa: window=7 is larger than the map"
# (mechanism, its options, check) -> how its refusal starts. Anything else must be ok.
REFUSALS = {
    **{
        (name, "", "trains on one image"): BATCH_OF_TWO
        for name in ("bam", "bam_channel", "ge", "ge_plus", "sk", "splat")
    },
    ("sk", "branches=1", "trains on one image"): BATCH_OF_TWO,
    ("splat", "radix=1", "trains on one image"): BATCH_OF_TWO,
    ("splat", "radix=0", "attention values"): "splat: radix 0 is a plain convolution",
    ("sasa", "", "keeps the shape"): LARGER,
    ("sasa", "window=5 num_heads=4", "keeps the shape"): "sasa: window=5 is larger than the map",
}
# name -> (shape of the map, rule). Symbols: b batch, c channels, h w height and width, n tokens.
# Rule: a pair is an open interval; a number is the axis that sums to 1.
MAPS = {
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

ENTRIES = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]


# Seconds each: with the defaults of one mechanism of each kind they run always, the rest with `-m slow`.
COSTLY = {"ONNX", "torch.export", "torch.compile"}
ALWAYS = {"cbam", "ge", "sk", "dynconv", "mhsa", "bot"}


def cases():
    for entry in ENTRIES:
        options = [({}, 1), *((one, 1) for one in OPTIONS.get(entry.name, [])), *([({}, 16)] if entry.replaces else [])]
        for one, groups in options:
            words = " ".join(f"{name}={value}" for name, value in one.items())
            for check in contract.CHECKS:
                if one.get("mode") == "hard" and check == "gradients are right":
                    # A step has no gradient; it is given that of the soft mixture, which its own test shows.
                    continue
                plain = not one and groups == 1
                slow = check in COSTLY and not (plain and entry.name in ALWAYS)
                slow |= (entry.name, check) == ("sasa", "gradients are right") and not plain
                name = " ".join(filter(None, [entry.name, words, "groups=16" * (groups > 1), check]))
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(Subject(entry, one, groups), words, check, id=name, marks=marks)


@pytest.mark.parametrize(("subject", "words", "check"), list(cases()))
def test_contract(subject, words, check):
    found = contract.verdict(subject, check, contract.CHECKS[check])
    key = (subject.entry.name, words, check)
    if key in REFUSALS:
        assert (found.status, found.detail[: len(REFUSALS[key])]) == ("refused", REFUSALS[key])
    else:
        assert found.status == "ok", found.detail


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_attention_values(entry):
    shape, rule = MAPS[entry.name]
    height, width = 5, 7
    subject = Subject(entry, {"window": 5} if entry.name == "sasa" else {})
    module, x = subject.build(height, width).eval(), subject.sample(3, height, width)
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
    if isinstance(rule, tuple) and entry.kind != "kernel":
        # A gate times the input is the output.
        torch.testing.assert_close(module(x), x * attention)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_statistics_in_bfloat16_are_exact_enough(entry):
    """A sum kept in bf16 stops growing at 256; a mean over 40 × 40 shows it."""
    subject = Subject(entry)
    module = subject.build(40, 40).to(torch.bfloat16).eval()
    x = subject.sample(2, 40, 40).add(1).to(torch.bfloat16)
    coarse = module.attention(x).float()
    fine = module.float().attention(x.float())
    # On average: one logit of 30 may be off by 0.2 from rounding alone.
    assert (coarse - fine).abs().mean() < 0.01


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_file_is_named_after_the_mechanism(entry):
    module = inspect.getmodule(entry.factory)
    package, _, file = module.__name__.rpartition(".")
    assert package == "composer.mechanisms"
    # `se_var3` is another name of `ese`.
    assert registry.get(file).factory is entry.factory
    assert module.__doc__
    assert entry.summary.endswith(".")


class Wrong(nn.Module):
    """Wrong in a way.

    Shape:   b c h w -> b c h w
    """

    def __init__(self, channels: int, *, way: str = ""):
        super().__init__()
        self.way, self.calls = way, 0
        self.conv = nn.Conv2d(channels, channels, 1)
        self.unused = nn.Parameter(torch.zeros(1))
        self.register_buffer("seen", torch.zeros(1))

    def attention(self, x):
        return x.flatten(1).sum(0)

    def forward(self, x):
        self.seen += 1
        y = self.conv(x)
        if self.way == "shape":
            return y[:, :1]
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
        if self.way == "break":
            return y if y.mean() > 0 else -y
        return y


@pytest.mark.parametrize(
    ("way", "check", "said"),
    [
        ("", "documented", "lacks Math:, Params:, MACs:, Source:, Departs:"),
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
        ("break", "torch.compile", "Unsupported"),
    ],
)
def test_every_check_can_fail(way, check, said, own_registry):
    composer.mechanism("test_wrong", kind="channel")(Wrong)
    subject = Subject(registry.get("test_wrong"), {"way": way}, channels=2)
    found = contract.verdict(subject, check, contract.CHECKS[check])
    assert found.status == "failed"
    assert said in found.detail
