"""The declared types of a page's data: what is written has them, and the script is told the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

import composer
from composer import diff
from composer.dag.sketch import Sketch, sketch
from composer.draw.picture import Wish, draw_problems
from composer.errors import GraphError, SpecError
from composer.page import schema
from composer.page.comparison import difference_data
from composer.page.data import failure_data, networks_of, page_data

TYPES = Path(schema.__file__).parent / "client/src/types.js"


def faults(value: Any, kind: Any, at: str = "data") -> Iterator[str]:
    """What of a value is not as its type says."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return
    if is_typeddict(kind):
        yield from (f"{at} lacks {key}" for key in sorted(kind.__required_keys__ - value.keys()))
        hints = get_type_hints(kind)
        for key, one in value.items():
            yield from faults(one, hints[key], f"{at}.{key}") if key in hints else [f"{at} has {key}"]
    elif origin in (Union, UnionType):
        if all(list(faults(value, part)) for part in parts):
            yield f"{at} is {value!r}"
    elif origin is Literal:
        if value not in parts:
            yield f"{at} is {value!r}"
    elif type(value) is not (origin or kind):
        yield f"{at} is {value!r}"
    elif origin is dict:
        for key, one in value.items():
            yield from faults(one, parts[1], f"{at}[{key!r}]")
    elif origin is tuple and parts[-1] is not ...:
        if len(value) != len(parts):
            yield f"{at} is {value!r}"
        for number, (one, part) in enumerate(zip(value, parts, strict=False)):
            yield from faults(one, part, f"{at}[{number}]")
    elif origin is not None:
        for number, one in enumerate(value):
            yield from faults(one, parts[0], f"{at}[{number}]")


@pytest.mark.parametrize("source", ["papers/cbam/resnet50", "papers/sk/resnext50_32x4d", "vit_tiny_patch16_224"])
def test_a_page(source):
    graph = composer.graph(source)
    networks = networks_of(Sketch.of(graph), graph, {"conv1": 0.5})
    assert list(faults(page_data(networks, Wish(depth=2)), schema.PageData)) == []


def test_a_difference():
    found = difference_data(diff("resnet18", {"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]}))
    assert list(faults(found, schema.PageData)) == []
    assert found["changes"]


def test_mistakes(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("input: [4, 8, 8]\nnodes:\n  bad: {op: conv2d, out_channels: 8, kernel_size: 3, groups: 3}\n")
    with pytest.raises(GraphError) as caught:
        composer.graph(file)
    data = page_data(networks_of(sketch(composer.load(file), caught.value.diagnostics), None))
    assert list(faults(data, schema.PageData)) == []
    file.write_text("backbone: resnet18\natention: []\n")
    with pytest.raises(SpecError) as found:
        composer.load(file)
    assert list(faults(failure_data(draw_problems("bad", found.value.diagnostics)), schema.PageData)) == []


def test_faults_are_found():
    file = {"name": "a.yaml", "text": "", "spans": {"1": 2}}
    assert list(faults(file, schema.FileData)) == []
    assert list(faults({**file, "spans": {"1": "2"}}, schema.FileData)) == ["data.spans['1'] is '2'"]
    assert list(faults({**file, "size": 1}, schema.FileData)) == ["data has size"]
    assert list(faults({"name": "", "text": ""}, schema.FileData)) == ["data lacks spans"]
    assert list(faults({"op": "", "kind": "", "parameters": 1, "macs": None, "line": (1,)}, schema.FactsData))
    assert list(faults({"op": "", "kind": "", "parameters": 1, "macs": ""}, schema.FactsData))
    assert list(faults({"op": "", "kind": "", "parameters": 1, "macs": 1, "state": "made"}, schema.FactsData))


def test_the_script_is_told_the_same():
    told = {}
    for block in re.findall(r"/\*\*(.*?)\*/", TYPES.read_text(encoding="utf-8"), re.DOTALL):
        if name := re.search(r"@typedef \{object\} (\w+)", block):
            properties = re.findall(r"@property \{.*\} (\[?)(\w+)\]?$", block, re.MULTILINE)
            assert len(properties) == block.count("@property")
            told[name[1]] = {key: not optional for optional, key in properties}
    declared = {
        name: {key: key in kind.__required_keys__ for key in kind.__annotations__ | get_type_hints(kind)}
        for name, kind in vars(schema).items()
        if is_typeddict(kind) and name.endswith("Data") and kind is not schema.SharedData
    }
    assert told == declared
