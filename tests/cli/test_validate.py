"""`composer validate` shows the mistakes of every stage at once, and none that only follow from another."""

from __future__ import annotations

import pytest

HEAD = "input: [3, 8, 8]\n"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("backbone: resnet50\nattention:\n  - {use: cbamm, after: brnch}\n", ["3:11", "3:25"]),
        (
            "backbone: resnet50\nattention:\n"
            "  - {use: cbam, aftr: branch, with: {reducton: 4}}\n"
            "  - {use: se, after: brnch}\n",
            ["3:17", "3:38", "4:22"],
        ),
        (HEAD + "nodes:\n  a: {op: rlu}\n  b: {op: relu, from: bdy}\n", ["3:11", "4:23"]),
        (
            HEAD + "nodes:\n"
            "  a: {op: conv2d, out_channels: $q, kernal_size: 3}\n"
            "  b: {op: relu, repeat: [1]}\n"
            "  c: {op: rlu, from: input}\n"
            "attention:\n"
            "  - {use: cbamm, after: stage}\n",
            ["3:34", "3:37", "4:25", "5:11", "7:11"],
        ),
        (HEAD + "nodes:\n  - {op: relu}\n", ["3:3"]),
        (HEAD + "blocks: {unit: 3}\nnodes: {a: {block: unit}}\n", ["2:16"]),
        ("backbone: resnet50\nvars: {num_classes: -1, depths: 3}\nfoo: 1\n", ["2:21", "2:33", "3:1"]),
        (
            # A rule's mechanism and options are known without the vars, its places are not, but for a misspelt site.
            "backbone: resnet50\nvars: {depth: 3, groups: [1]}\nattention:\n"
            "  - {use: cbamm, after: branch}\n"
            "  - {use: se, after: branch, expect: 3, with: {reducton: 4}}\n"
            "  - {use: eca, after: brnch}\n",
            ["2:8", "2:26", "4:11", "5:48", "6:23"],
        ),
        (
            # With other vars there might be such places.
            "backbone: resnet18\nvars: {dephts: [2, 2, 2, 2, 2]}\nattention:\n"
            "  - {use: se, after: layer5}\n"
            "  - {use: se, after: stage5}\n"
            "  - {use: se, after: layer1.4.bn2, expect: many}\n",
            ["2:8", "6:44"],
        ),
        (
            # What an operation is called is known without what arrives there.
            HEAD + "nodes:\n"
            "  a: {op: rlu}\n"
            "  b: {op: conv4d, out_channels: 2}\n"
            "  c: {op: conv2d, out_channels: 3, kernal: 3}\n"
            "  d: {op: linear, out_features: $channels}\n",
            ["3:11", "4:11", "5:36"],
        ),
    ],
)
def test_every_mistake_at_once(run, tmp_path, monkeypatch, text, places) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(text)
    result = run("validate", "net.yaml", "--format", "json")
    assert result.code == 1
    found = [f"{one['line']}:{one['column']}" for one in result.json[0]["errors"]]
    assert found == places
