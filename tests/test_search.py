"""Mechanisms are found by any words that people use for them."""

from __future__ import annotations

import pytest

import composer
from composer import registry


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("se", {"se"}),
        ("se_*", {"se_var1", "se_var2", "se_var3"}),
        ("se-net", {"se"}),
        ("SE Net", {"se"}),
        ("SEModule", {"se"}),
        ("efficient multi-scale", {"ema"}),
        ("woo convolutional block", {"cbam", "cbam_channel", "cbam_spatial"}),
        ("2305.13563", {"ema"}),
        ("selective kernel", {"sk"}),
        ("no such thing", set()),
        ("", set()),
    ],
)
def test_words(words: str, names: set[str]) -> None:
    assert {one.name for one in registry.find_mechanisms(words)} == names


def test_every_mechanism_is_found_by_its_name_its_aliases_and_its_paper() -> None:
    for entry in registry.mechanisms():
        for words in (entry.name, *entry.aliases):
            assert entry in registry.find_mechanisms(words), words
        if entry.is_own:
            assert registry.paper(entry), entry.name


def test_layers_are_found_by_words_and_told_beside_mechanisms(run) -> None:
    (row,) = run("list", "layers", "simpool", "--format", "json").json
    assert row["name"] == "sim_pool"
    assert "among layers there is `sim_pool`" in run("list", "mechanisms", "SimPool").err


def test_an_alias_is_understood_in_errors(run) -> None:
    with pytest.raises(composer.ComposerError, match="`se` is what `se-net` is called here"):
        composer.graph({"backbone": "resnet18", "attention": [{"use": "se-net", "after": "block"}]})
    for verb in ("show", "check"):
        assert "`eca` is what `ECA-Net` is called here" in run(verb, "ECA-Net").err


def test_an_option_of_another_mechanism_of_that_name_says_which() -> None:
    """Papers share names: `gct`, `psa`, `sa`."""
    other = registry.get_mechanism("se")
    assert other is not None
    composer.mechanism("first", kind="channel")(type("First", (other.module,), {"__init__": _first}))
    composer.mechanism("second", kind="channel", aliases=("first",))(
        type("Second", (other.module,), {"__init__": _second})
    )
    with pytest.raises(composer.ComposerError, match="another mechanism of that name has it: `second`"):
        composer.graph({"backbone": "resnet18", "attention": [{"use": "first", "after": "block", "with": {"b": 1}}]})


def _first(self: object, channels: int, *, a: int = 1) -> None: ...


def _second(self: object, channels: int, *, b: int = 1) -> None: ...
