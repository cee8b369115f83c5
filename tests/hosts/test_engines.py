"""Ten models of other libraries with insertions, under other tools: some cells in every run, all with `-m slow`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hosts.engines import ENGINES, LIMITS, PAGE, attempt, lines, read
from tests.hosts.foreign import MODELS, Foreign

QUICK = {
    ("deepcopy", "swin_tiny"),
    ("torch.export", "ViT"),
    ("PEFT LoRA and merge", "ConvNext"),
    ("gradient checkpointing", "mobilenetv3_small"),
    ("timm's EMA", "fasterrcnn"),
    ("forward_intermediates", "convnext_atto"),
    ("output_hidden_states", "ViT"),
    ("from_pretrained", "ConvNext"),
}


def cells() -> list[Any]:
    return [
        pytest.param(title, one, id=f"{title}-{one.name}", marks=() if (title, one.name) in QUICK else pytest.mark.slow)
        for title, (libraries, _) in ENGINES.items()
        for one in MODELS
        if one.library in libraries
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("title", "foreign"), cells())
def test_an_engine_takes_insertions(title: str, foreign: Foreign) -> None:
    found = attempt(title, foreign, foreign.changed())
    refused = LIMITS.get((title, foreign.name))
    if refused is None:
        assert not found
    else:
        assert found.startswith(f"{refused}: ")
        assert attempt(title, foreign, foreign.plain()).startswith(f"{refused}: ")


def test_the_table_has_every_engine_and_model() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "\n".join(lines(read(page))).partition("Versions")[0] == page.partition("Versions")[0]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == ["| engine", *(f"| {title}" for title in ENGINES)]
    for row in rows[1:]:
        found = {one.name: word.removesuffix(" |") for one, word in zip(MODELS, row[1:], strict=True)}
        limits = {name for title, name in LIMITS if title == row[0][2:]}
        assert {name for name, word in found.items() if word not in ("", "pass", "–")} == limits
