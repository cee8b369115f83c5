"""Every system of the article, by one rule, in ResNet-50 or in the article's own network: it composes and learns."""

from __future__ import annotations

import pytest
import torch

import composer

EVERY = {"after": "branch"}
CONV = {"replace": "spatial_conv"}
LAST = {"where": "stage == 4"}


def rule(use, place, **options):
    return {"use": use, **place, "with": options}


ROWS = {
    "se": rule("se", EVERY),
    "se as in the equations": rule("se", EVERY, bias=False),
    "se_var1": rule("se_var1", EVERY),
    "se_var2": rule("se_var2", EVERY),
    "se_var3": rule("se_var3", EVERY),
    "ese": rule("ese", EVERY, gate="hard_sigmoid"),
    "eca": rule("eca", EVERY),
    "eca by hand": rule("eca", EVERY, kernel_size=9),
    "cbam channel": rule("cbam_channel", EVERY),
    "cbam spatial": rule("cbam_spatial", EVERY),
    "cbam": rule("cbam", EVERY),
    "bam channel": rule("bam_channel", {"after": "stage", "where": "not last"}),
    "bam spatial": rule("bam_spatial", {"after": "stage", "where": "not last"}),
    "bam": rule("bam", {"after": "stage", "where": "not last"}),
    "bam as in the paper": rule("bam", {"after": "stage", "where": "not last"}, fuse="add", norm_at="last"),
    **{f"ge minus {extent}": rule("ge_minus", EVERY, extent=extent) for extent in (0, 2, 3, 4, 8)},
    **{f"ge {extent}": rule("ge", EVERY, extent=extent) for extent in (0, 2, 4, 8)},
    **{f"ge plus {extent}": rule("ge_plus", EVERY, extent=extent) for extent in (0, 2, 4, 8)},
    "sk": rule("sk", CONV),
    "sk of one branch": rule("sk", CONV, branches=1),
    "sk of three": rule("sk", CONV, branches=3),
    "splat-0": rule("splat", CONV, cardinality=1),
    "splat of two groups": rule("splat", CONV, cardinality=2),
    "splat of radix 4": rule("splat", CONV, radix=4),
    "splat of radix 1": rule("splat", CONV, radix=1),
    "splat of radix 0": rule("splat", CONV, radix=0),
    "splat pooled": rule("splat", CONV, avd="after"),
    "condconv": rule("condconv", CONV),
    "dynconv": rule("dynconv", CONV),
    "dynconv everywhere but in the stem": rule("dynconv", {"replace": "layer*.**.conv*"}, num_experts=2),
    "sa": rule("sa", {"after": "stage", "where": "last"}),
    "sa over channels": rule("sa", {"after": "stage", "where": "last", "tokens": "channels"}),
    "mhsa": rule("mhsa", {**EVERY, **LAST}),
    "mhsa over channels": rule("mhsa", {**EVERY, **LAST, "tokens": "channels"}, num_heads=2),
    "mhsa with heads of 64": rule("mhsa", {**EVERY, **LAST}, head_dim=64),
    "mhsa in place of convolutions": rule("mhsa", {**CONV, "where": "stage == 4 and stride == 1"}),
    "hard attention": rule("mhsa", {**EVERY, **LAST}, mode="hard"),
    "nl": rule("nl", {"after": "block", "where": "stage in [3, 4] and block == 2"}),
    "nl sampled": rule("nl", {"after": "block", "where": "stage == 3 and block == 2"}, sub_sample=True, scale=True),
    "bot": rule("bot", {**CONV, **LAST}),
    "sasa": rule("sasa", {**CONV, "where": "stage <= 2"}),
    "sasa as the stem": rule("sasa", {"replace": "stem"}),
}
# Narrow, so that it runs in a moment.
NARROW = {"input": [3, 64, 64], "vars": {"widths": [16, 16, 16, 16], "num_classes": 3}}


@pytest.mark.parametrize("name", ROWS)
def test_in_resnet50(name):
    spec = {"backbone": "resnet50", **NARROW, "attention": [ROWS[name]]}
    torch.manual_seed(0)
    model = composer.build(spec)
    assert model.graph.inserted
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not without


@pytest.mark.parametrize(
    ("backbone", "row", "places"),
    [
        ("resnext50_32x4d", rule("sk", CONV), 16),
        ("resnext50_32x4d", rule("bam", {"after": "stage", "where": "not last"}), 3),
        ("mobilenetv2_100", rule("cbam", EVERY), 17),
        ("mobilenetv2_100", rule("sk", CONV), 17),
        ("mobilenetv2_100", rule("condconv", {"replace": "blocks.*.*.conv*", "where": "stage >= 5"}), 21),
        ("mobilenetv2_100", rule("dynconv", {"replace": "blocks.*.*.conv*"}), 50),
        ("vit_base_patch16_224", rule("sa", {"replace": "mixer"}), 12),
        ("vit_base_patch16_224", rule("mhsa", {"replace": "mixer"}, num_heads=8), 12),
    ],
)
def test_in_other_networks(backbone, row, places):
    assert len(composer.graph({"backbone": backbone, "attention": [row]}).inserted) == places
