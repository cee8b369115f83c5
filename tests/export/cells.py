"""The matrix of mechanisms and formats: a small network with each mechanism at its usual place, exported to each."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import nn

import composer
from composer import registry
from composer.dag.rules.default_place import default_places
from composer.exporting.format import FORMATS
from tests.mechanisms.cases import ENTRIES, case_of

NAMES = [entry.name for entry in ENTRIES]
BLOCK = {
    "nodes": {
        "conv": {"op": "conv2d", "out_channels": 64, "kernel_size": 3, "padding": 1, "site": "spatial_conv"},
        "bn": {"op": "batch_norm", "site": "branch"},
        "add": {"op": "add", "from": ["bn", "input"]},
        "act": "relu",
    },
    "site": "block",
}
STAGE = {"nodes": {"blocks": {"block": "block", "repeat": 2}}, "site": "stage"}
NETWORK = {
    "name": "small",
    "input": [3, 28, 28],
    "blocks": {"block": BLOCK, "stage": STAGE},
    "nodes": {
        "stem": {"op": "conv2d", "out_channels": 64, "kernel_size": 3, "stride": 2, "padding": 1, "site": "stem"},
        "stage": {"block": "stage"},
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 10, "site": "head"},
    },
}
TOKENS = {"backbone": "vit_tiny_patch16_224", "input": [3, 32, 32], "vars": {"depth": 2, "num_classes": 10}}


@dataclass(frozen=True)
class Cell:
    """What became of an export.

    status      ok, refused (before conversion, by the node) or failed
    difference  the largest, as a share of the output's largest value; None if it was not run
    varying     the axes that vary, in words
    said        why it was refused, or why an axis does not vary
    """

    status: str
    difference: float | None = None
    varying: str = ""
    said: str = ""


def spec_of(name: str) -> dict[str, object]:
    """The small network with a mechanism in its last block, or where it usually goes."""
    entry, case = registry.get(name), case_of(name)
    if case.class_token:
        rule = {"use": name, "replace": "mixer", "where": "last", "with": {"num_heads": 3}}
        return {**TOKENS, "name": name, "attention": [rule]}
    place = {key: value for key, value in default_places(entry)[-1].items() if key != "where"}
    rule = {"use": name, **place, "where": "last"}
    # Further tensors, such as a guide, are what the block is given; a place that joins two gives both.
    if entry.inputs[0] > 1 and "replace" not in place:
        rule["from"] = dict.fromkeys(entry.tensors[1:], "input")
    return {**NETWORK, "name": name, "attention": [rule]}


def model_of(name: str) -> nn.Module:
    """The network with weights and statistics that let every branch speak."""
    model = composer.build(spec_of(name))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
        for one in model.modules():
            if isinstance(one, nn.BatchNorm2d):
                one.weight.uniform_(0.5, 1.5, generator=generator)
                one.running_mean.uniform_(-0.2, 0.2, generator=generator)
                one.running_var.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


def cell_of(model: nn.Module, format: str) -> Cell:
    """Export a network to a format, without writing it."""
    try:
        found = composer.export(model, format)
    except composer.InputError as error:
        # Converters name files of this machine.
        text = re.sub(r"/[^\s:]*/(?=site-packages/|composer/)", "", error.diagnostics[0].message)
        return Cell("refused" if "it calls" in text else "failed", said=text)
    return Cell("ok", found.relative, found.varying, "; ".join(found.fixed))


FORMAT_NAMES = list(FORMATS)
