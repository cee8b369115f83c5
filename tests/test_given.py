"""What Python users give by keyword: a wrong type is an error that names the keyword and says what is expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import composer
from composer import InputError, UnavailableError, given

NODES = {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "gate": "eca"}
SPEC = {"input": [3, 8, 8], "nodes": NODES}
RULE = {"use": "eca", "after": "0"}
IMAGES = torch.zeros(1, 3, 8, 8)


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())


def saved(path: Any = "net.svg", **options: Any) -> Callable[[], Any]:
    return lambda: composer.compose(SPEC).save(path, **options)


def built(**options: Any) -> Callable[[], Any]:
    return lambda: composer.build(SPEC, **options)


def benched(**options: Any) -> Callable[[], Any]:
    return lambda: composer.bench(SPEC, **options)


WRONG = [
    (saved(width=8), "`width` is 8", "a text with a unit, such as `8cm`"),
    (saved(5), "`path` is 5", "a path"),
    (saved(depth="x"), "`depth` is 'x'", "a whole number from 1 on"),
    (saved(depth=0), "`depth` is 0", "a whole number from 1 on"),
    (saved(select=5), "`select` is 5", "a glob over paths"),
    (saved(direction="UP"), "`direction` is 'UP'", "`TB`, `LR`"),
    (saved(theme="drak"), "`theme` is 'drak'", "did you mean `dark`?"),
    (saved("net.html", module=5), "`module` is 5", "an nn.Module"),
    (built(dtype="flot16"), "unknown dtype `flot16`", "bfloat16"),
    (built(dtype="int8"), "unknown dtype `int8`", "bfloat16"),
    (built(dtype=5), "unknown dtype `5`", "bfloat16"),
    (built(device=1.5), "unknown device `1.5`", "`cpu`"),
    (built(seed="x"), "`seed` is 'x'", "a whole number"),
    (built(seed=1.5), "`seed` is 1.5", "a whole number"),
    (built(seed=None), "`seed` is None", "a whole number"),
    (built(max_nodes="x"), "`max_nodes` is 'x'", "a whole number from 1 on"),
    (built(max_parameters=0), "`max_parameters` is 0", "a whole number from 1 on"),
    (benched(passes=5), "`passes` is 5", "`forward`, `step`"),
    (benched(batch="x"), "`batch` is 'x'", "a whole number"),
    (benched(runs=1.5), "`runs` is 1.5", "a whole number"),
    (benched(threads="x"), "`threads` is 'x'", "a whole number"),
    (benched(dtype="float16x"), "unknown dtype `float16x`", "bfloat16"),
    (lambda: composer.features(SPEC, 5), "`outputs` is 5", "a mapping name -> path"),
    (lambda: composer.features(SPEC, [5]), r"`outputs` is \[5\]", "a mapping name -> path"),
    (lambda: composer.look(SPEC, 5), "`images` is 5", "a path"),
    (lambda: composer.look(SPEC, [5]), "`images` is 5", "a path"),
    (lambda: composer.look(SPEC, IMAGES, nodes=5), "`nodes` is 5", "paths of nodes"),
    (lambda: composer.view(plain(), IMAGES, sites=5), "`sites` is 5", "a mapping"),
    (lambda: composer.insert(plain(), RULE, IMAGES, sites=5), "`sites` is 5", "a mapping"),
    (lambda: composer.insert(plain(), RULE, IMAGES, seed="x"), "`seed` is 'x'", "a whole number"),
    (lambda: composer.remove(5), "the model is a int", "nn.Module"),
    (lambda: composer.remove("resnet18"), "the model is a str", "nn.Module"),
    (lambda: composer.check(5), "the model is a int", "nn.Module"),
    (lambda: composer.inserted(nn.Conv2d), "the model is the class Conv2d", "nn.Module"),
    (lambda: composer.rules_of(5), "the model is a int", "nn.Module"),
    (lambda: composer.list_mechanisms(5), "`pattern` is 5", "a text"),
    (lambda: composer.list_backbones(5), "`pattern` is 5", "a text"),
    (lambda: composer.list_papers(5), "`pattern` is 5", "a text"),
    (lambda: composer.list_papers(table=3.3), r"`table` is 3\.3", "a text"),
    (lambda: composer.load_weights(plain(), 5), "`source` is 5", "a path"),
    (lambda: composer.freeze(composer.build(SPEC), 5), "`at` is 5", "a site"),
    (lambda: composer.parameters_at(composer.build(SPEC), 5), "`selectors` is 5", "a site"),
    (lambda: composer.freeze(plain(), "block"), "`Sequential` is no composed network", "composer.build"),
    (lambda: composer.parameters_at(5, "block"), "`int` is no composed network", "composer.build"),
    (lambda: composer.record(5).__enter__(), "`model` is 5", "an nn.Module"),
    (lambda: composer.from_folder(5), "`folder` is 5", "a path"),
    (lambda: composer.resume(5), "`folder` is 5", "a path"),
    (lambda: composer.compare(5), "`source` is 5", "a path"),
    (lambda: composer.train(SPEC, out=5), "`out` is 5", "a path"),
]


@pytest.mark.parametrize(("call", "found", "expected"), WRONG)
def test_a_wrong_type_is_told_by_its_name(
    call: Callable[[], Any], found: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputError, UnavailableError), match=found) as caught:
        call()
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_right_types_are_taken() -> None:
    for name in ("float16", "torch.float16", torch.float16):
        assert next(composer.build(SPEC, dtype=name).parameters()).dtype == torch.float16
    # A number of numpy or torch is one.
    first, *others = (composer.build(SPEC, seed=seed).state_dict() for seed in (3, np.int64(3), torch.tensor(3)))
    assert all(torch.equal(first[key], other[key]) for other in others for key in first)
    assert given.several("nodes", ("a", "b"), "") == ["a", "b"]
    assert given.several("nodes", "ab", "") == ["ab"]
    assert given.path("out", "a/b") == Path("a/b")


def test_looking_works_in_inference_mode() -> None:
    pytest.importorskip("pytorch_grad_cam")
    nodes = {**NODES, "pool": "global_avg_pool", "head": {"op": "linear", "out_features": 3, "site": "head"}}
    model = composer.build({"input": [3, 32, 32], "nodes": nodes})
    with torch.inference_mode():
        assert composer.look(model, torch.zeros(1, 3, 32, 32))
