"""Globs: what they pick is what the regular expression of their words picks, and stars do not multiply the time."""

from __future__ import annotations

import random
import re
from fnmatch import fnmatchcase

import pytest
from clock import cpu_time

import composer
from composer.dag.rules.globs import Glob
from composer.dag.rules.places import Places
from composer.weights.keys import KeyMap

STARS = "*a" * 12 + "*b"


def expression(glob: str) -> re.Pattern[str]:
    """The words of a glob, one by one, as a regular expression."""
    words = {"**": "(?:.)*", "*": "[^.]*", "?": "[^.]", "[!a]": "[^a]", "[ab]": "[ab]", "[a-b]": "[a-b]"}
    return re.compile("".join(words.get(word) or re.escape(word) for word in glob.split(" ")), re.DOTALL)


def test_short_globs_pick_what_their_regular_expression_picks():
    draw = random.Random(0)
    words = ["**", "*", "*", "?", "a", "b", ".", "a", "[!a]", "[ab]", "[a-b]"]
    for _ in range(3000):
        spaced = " ".join(draw.choices(words, k=draw.randint(1, 7)))
        # Three stars in a row are read as two and one, whichever word they came from.
        text = spaced.replace(" ", "")
        pattern = expression(" ".join(re.findall(r"\*\*|\[.*?\]|.", text)))
        found = Glob(text)
        for _ in range(10):
            path = "".join(draw.choices("ab.c", k=draw.randint(0, 7)))
            assert found.matches(path) == (pattern.fullmatch(path) is not None), (text, path)


@pytest.mark.parametrize("text", ["a[b", "[z-a]", "a*[z-a]", "[]", ""])
def test_what_is_no_class_stands_for_itself(text):
    assert Glob(text).matches(text)
    assert not Glob(text).matches(text + "a")


def test_many_stars_over_long_names_take_no_time():
    # Trying every way to share out the letters would take years.
    assert 20 * cpu_time(lambda: composer.graph("resnet18")) > cpu_time(match_many_stars)


def match_many_stars() -> None:
    name = "a" * 60
    assert not Glob(STARS).matches(name)
    assert not Glob(STARS.replace("*", "**")).matches(f"{name}.{name}")
    assert not Glob(STARS.replace("*a", "**a*")).matches(f"{name}.{name}")
    assert Glob(STARS).matches(name + "b")
    assert KeyMap("example", {STARS: "ours"}).rename(name) == name
    assert KeyMap("example", {STARS: "ours"}).rename(name + "b") == "ours"
    assert not fnmatchcase(name, STARS)
    network = {"input": [3, 8, 8], "nodes": {name: "relu"}, "attention": [{"use": "se", "after": STARS}]}
    with pytest.raises(composer.GraphError, match="no place is called"):
        composer.build(network)


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "inception_v3", "vit_tiny_patch16_224", "densenet121"])
def test_a_walk_that_leaves_out_what_a_selector_cannot_reach_finds_the_same_places(name: str) -> None:
    root = composer.graph(name).root
    every = Places.of(root)
    for selector in [
        *every.sites,
        *every.paths[::17],
        "**",
        "*",
        "layer[12].*.bn1",
        "blocks.?.attn",
        "**.conv1",
        "n*.x",
    ]:
        near = Places.near(root, [selector])
        assert set(near.paths) <= set(every.paths)
        assert near.select(selector) == every.select(selector), selector


def test_a_path_is_found_without_a_walk_through_every_block() -> None:
    root = composer.graph("resnet50").root
    near = Places.near(root, ["layer3.2.bn1"])
    assert near.paths == ("layer3.2.bn1",)
    assert near[0] == Places.of(root).at("layer3.2.bn1")
