"""The blocks of ultralytics' modules, as text for a spec. They stand in `blocks.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from composer.spec.dump import flow
from composer.spec.references import read_file

_PATH = Path(__file__).parent / "blocks.yaml"
_SECTION = re.compile(r"^((?:#.*\n)*)(\w+):\n((?: .*\n)+)", re.MULTILINE)
_BATCH_NORM = "{op: batch_norm, eps: 0.001, momentum: 0.03}"
_DETECTORS = ("detect", "detect_end2end")
_USED = re.compile(r"\b(?:block|inner|class_head): (\w+)")


@dataclass(frozen=True)
class BlockText:
    """A block: the comment before it, and its keys, as text; the defaults of its arguments; and blocks that it uses."""

    text: str
    defaults: Mapping[str, Any]
    uses: frozenset[str]


@cache
def block_texts() -> Mapping[str, BlockText]:
    """Every block by its name, in the order of the file."""
    parsed = read_file(_PATH).plain()
    found = {}
    for comment, name, body in _SECTION.findall(_PATH.read_text(encoding="utf-8")):
        defaults = parsed[name].get("args", {})
        found[name] = BlockText(f"{comment}{name}:\n{body}", defaults, frozenset(_USED.findall(body)))
    assert list(found) == list(parsed), "every block is a section of the file"
    return found


def with_uses(names: Iterable[str]) -> list[str]:
    """These blocks and all that they use, in the order of the file."""
    known = block_texts()
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(known[name].uses)
    return [name for name in known if name in found]


def written(name: str, activation: Mapping[str, Any], *, classifies: bool, inputs: int) -> str:
    """The text of a block.

    activation  of the network: a layer with its options
    classifies  whether the network is a classifier, whose batch norm ultralytics leaves as PyTorch has it
    inputs      how many maps a detector looks at
    """
    text = block_texts()[name].text
    if name == "conv":
        text = _replaced(text, "{op: silu, ", f"{flow(activation)[:-1]}, ")
        text = _replaced(text, _BATCH_NORM, "batch_norm") if classifies else text
    if name in _DETECTORS:
        names = ", ".join(f"x{index}" for index in range(inputs))
        text = _replaced(_replaced(text, "[x0, x1, x2]", f"[{names}]"), "repeat: 3", f"repeat: {inputs}")
    return text


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"blocks.yaml has no `{old}`"
    return text.replace(old, new)
