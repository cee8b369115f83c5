"""Whatever a verb does with a network, it reads its spec once and composes it once."""

from __future__ import annotations

from collections import Counter

import pytest
from PIL import Image

from composer.dag.nodes import elaborate
from composer.spec import load


@pytest.fixture
def counted(monkeypatch):
    """How often files are read into specs, and specs into networks."""
    count = Counter()

    def counting(name, function):
        def call(*arguments, **options):
            count[name] += 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(load, "inspect", counting("read", load.inspect))
    monkeypatch.setattr(load, "_settled", counting("settled", load._settled))
    monkeypatch.setattr(elaborate._Elaboration, "root", counting("composed", elaborate._Elaboration.root))
    return count


VERBS = {
    "sites": ["sites", "SPEC"],
    "validate": ["validate", "SPEC"],
    "summary": ["summary", "SPEC"],
    "summary by cost": ["summary", "SPEC", "--sort", "macs"],
    "diff": ["diff", "resnet18", "SPEC"],
    "a picture": ["graph", "SPEC", "-o", "FOLDER/net.svg"],
    "a page": ["graph", "SPEC", "-o", "FOLDER/net.html"],
    "a graph": ["graph", "SPEC", "-o", "FOLDER/net.json"],
    "build": ["build", "SPEC"],
    "build into a folder": ["build", "SPEC", "-o", "FOLDER/out"],
    "run": ["run", "SPEC", "--image", "FOLDER/photo.png"],
    "look": ["look", "SPEC", "--image", "FOLDER/photo.png", "-o", "FOLDER/look"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_network_is_read_and_composed_once(run, small, tmp_path, counted, verb):
    Image.new("RGB", (40, 40), "teal").save(tmp_path / "photo.png")
    words = [word.replace("FOLDER", str(tmp_path)).replace("SPEC", str(small)) for word in VERBS[verb]]
    assert run(*words).code == 0
    networks = 2 if verb == "diff" else 1
    assert counted == {"read": networks, "settled": networks, "composed": networks}


def test_what_was_built_is_read_and_composed_once(run, small, tmp_path, counted):
    assert run("build", small, "-o", tmp_path / "out").code == 0
    counted.clear()
    assert run("build", tmp_path / "out" / "small.lock.yaml").code == 0
    assert counted == {"read": 1, "settled": 1, "composed": 1}
