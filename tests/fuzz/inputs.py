"""Inputs that nobody would write, each drawn from a seed."""

from __future__ import annotations

import contextlib
import copy
import io
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

import composer
from composer.cli.app import main

SPEC = """\
name: small
description: A network with every kind of key
input: {shape: [3, 16, 16], layout: b c h w}
vars: {width: 4, deep: true}
blocks:
  unit:
    nodes:
      conv: {op: conv2d, out_channels: $width, kernel_size: 3, site: branch}
      act: {op: relu, when: $deep}
nodes:
  stem: {op: conv2d, out_channels: $width, kernel_size: 3, site: stem}
  body: {block: unit, repeat: 2, site: block}
  pool: global_avg_pool
  fc: {op: linear, out_features: "${width * 2}", site: head}
attention:
  - {use: se, after: branch, where: "not last", with: {reduction: 2}}
  - {use: eca, before: [branch, stem], where: block_index != 9, every: 2, description: at every other}
"""
BYTES = [
    b"\x00",
    b"\xff",
    b"\t",
    b"\r",
    b"&a ",
    b"*a",
    b"!!",
    b"{",
    b"]",
    b"'",
    b'"',
    b": ",
    b"- ",
    b"$",
    b"${",
    b"\xe2\x80\xae",
]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    10**30,
    1e308,
    float("nan"),
    "",
    "a",
    "*",
    "**",
    "$width",
    "${",
    "relu",
    [],
    {},
]
WORDS = [
    "width",
    "deep",
    "1",
    "0",
    "-3",
    "2.5",
    "1e9",
    "'a'",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "==",
    "!=",
    "<",
    "<=",
    "in",
    "not",
    "and",
    "or",
    "if",
    "else",
    "last",
    "stage",
    "\x00",
    "é",
]
ARGUMENTS = [
    *("validate", "list", "show", "sites", "summary", "graph", "diff", "schema", "weights", "mechanisms", "papers"),
    *("se", "cbam", "small.yaml", "nowhere.yaml", ".", "/", "", "-", "--", "\x1b[31m", "x" * 300, "é", "1", "-1", "0"),
    *(
        "--set",
        "vars.width=3",
        "vars=",
        "=",
        "--format",
        "json",
        "text",
        "--at",
        "--plugin",
        "--root",
        "--max-nodes",
        "--help",
    ),
]


def mutated(draw: random.Random, content: bytes) -> bytes:
    """Bytes with a few of them changed, lost, doubled or put in."""
    found = bytearray(content)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(found) + 1)
        end = min(len(found), at + draw.randint(1, 12))
        new = draw.choice([b"", bytes(found[at:end]) * 2, draw.choice(BYTES), bytes([draw.randrange(256)])])
        found[at:end] = new
    return bytes(found)


def spec_bytes(draw: random.Random, folder: Path) -> Callable[[], object]:
    """A spec with other bytes."""
    path = folder / "mutated.yaml"
    path.write_bytes(mutated(draw, SPEC.encode()))
    return lambda: composer.graph(path, max_nodes=300)


def spec_structure(draw: random.Random, folder: Path) -> Callable[[], object]:
    """A spec with other values and keys, or with parts of it elsewhere."""
    spec = yaml.safe_load(SPEC)
    for _ in range(draw.randint(1, 3)):
        holders = [one for one in _parts(spec) if isinstance(one, dict | list) and one]
        if not holders:
            break
        holder = draw.choice(holders)
        new = copy.deepcopy(draw.choice([draw.choice(VALUES), draw.choice(_parts(spec))]))
        key = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if isinstance(holder, dict) and draw.random() < 0.2:
            holder[str(new)[:20]] = holder.pop(key)
        else:
            holder[key] = new
    return lambda: composer.graph(spec, max_nodes=300)


def _parts(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(part for one in inside for part in _parts(one))]


def expressions(draw: random.Random, folder: Path) -> Callable[[], object]:
    """Words of the language of expressions in any order."""
    text = draw.choice(["", " "]).join(draw.choices(WORDS, k=draw.randint(1, 9)))
    nodes = {"a": {"op": "relu", "when": "${" + text + "}"}, "b": {"op": "conv2d", "kernel_size": 1, "out_channels": 4}}
    spec = {"input": [3, 8, 8], "vars": {"width": 4, "deep": True}, "nodes": nodes}
    if draw.random() < 0.5:
        nodes["a"]["when"], spec["attention"] = True, [{"use": "se", "after": "**", "where": text}]
    return lambda: composer.graph(spec)


def checkpoints(draw: random.Random, folder: Path) -> Callable[[], object]:
    """A file of weights with other bytes."""
    model = composer.build(yaml.safe_load(SPEC))
    path = folder / draw.choice(["weights.pt", "weights.safetensors"])
    if path.suffix == ".pt":
        torch.save({"state_dict": model.state_dict(), "epoch": 3}, path)
    else:
        save_file(model.state_dict(), path, {"classes": "[]"})
    content = path.read_bytes()
    cut = draw.choice([len(content), 200, 2000])
    path.write_bytes(mutated(draw, content[:cut]) + content[cut:])
    return lambda: composer.load_weights(model, path, require="any")


def arguments(draw: random.Random, folder: Path) -> Callable[[], object]:
    """Words of the command line in any order."""
    (folder / "small.yaml").write_text(SPEC)
    words = [draw.choice(ARGUMENTS[:8]), *draw.choices(ARGUMENTS, k=draw.randint(0, 5))]
    return lambda: _command([str(folder / word) if word == "small.yaml" else word for word in words])


def _command(words: list[str]) -> None:
    before, sys.argv = sys.argv, ["composer", *words]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")), contextlib.redirect_stderr(said):
            main()
    except SystemExit as exit:
        if exit.code not in (0, 1, 2, 3):
            raise RuntimeError(f"{words} exits {exit.code}: {said.getvalue()}") from exit
    finally:
        sys.argv = before


KINDS: Mapping[str, Callable[[random.Random, Path], Callable[[], object]]] = {
    "spec_bytes": spec_bytes,
    "spec_structure": spec_structure,
    "expressions": expressions,
    "checkpoints": checkpoints,
    "arguments": arguments,
}
