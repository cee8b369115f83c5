"""The index says what the registry and the zoo say, and is left aside where it cannot know everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from composer import registry
from composer.index import card
from composer.index.described import described
from composer.index.make import texts


def test_it_is_up_to_date() -> None:
    for file, text in texts().items():
        assert file.read_text(encoding="utf-8") == text, "python -m composer.index.make writes it anew"


def test_a_card_is_shown_as_its_entry() -> None:
    from_index = {one.name: one for one in card._of_index()}
    assert list(from_index) == [one.name for one in registry.entries() if one.is_own]
    for name in ("se", "mhsa", "nl", "conv2d", "relu", "global_avg_pool", "rearrange", "class_attention"):
        entry = registry.get(name)
        assert entry is not None
        assert from_index[name] == card.Card.of(entry)
        assert card.shown(from_index[name]) == json.loads(json.dumps(described(entry, card.SIZE)))


def test_every_place_is_where_the_registry_has_it() -> None:
    for one in card._of_index():
        entry = registry.get(one.name)
        assert entry is not None
        assert card.place(one.shown["file"], one.shown["factory"]) == f"{entry.file}:{entry.line}"


@pytest.mark.parametrize("verb", [["list", "mechanisms"], ["show", "two_gates"], ["schema"]])
def test_a_plugin_of_a_file_is_there_too(verb: list[str], tmp_path: Path) -> None:
    plugin = tmp_path / "two.py"
    plugin.write_text(
        "import composer\nfrom torch import nn\n\n\n"
        "@composer.mechanism('two_gates', kind='channel')\nclass Two(nn.Module):\n"
        '    """Two gates."""\n\n    def __init__(self, channels: int, *, r: int = 4) -> None:\n'
        "        super().__init__()\n\n    def forward(self, x):\n        return x\n"
    )
    words = [sys.executable, "-m", "composer", *verb, "--plugin", str(plugin)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "two_gates" in done.stdout
