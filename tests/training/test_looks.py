"""A run looks at attention on a few images, before and after; it is the same run with and without."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image

import composer
from composer.errors import Diagnostic, InputError, UnavailableError
from composer.looking.report import Look
from composer.training import looks
from composer.training.data import open_data
from tests.training.small import SMALL, equal, kept

GATED = {**SMALL, "attention": [{"use": "cbam", "after": "act1", "with": {"reduction": 2}}]}
RECIPE = {"epochs": 1, "batch": 256}


def trained(folder, recipe=None, network=GATED, said=None):
    found = [] if said is None else said
    return composer.train(network, "digits", out=folder, recipe={**RECIPE, **(recipe or {})}, say=found.append)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a network with a gate, which was looked at."""
    return trained(tmp_path_factory.mktemp("runs") / "gated")


def test_every_figure_is_there_before_and_after(run):
    text = (run.folder / "look.html").read_text()
    assert "with its first weights and with those of the best epoch, 1," in text
    shown = re.findall(r"data:image/png;base64,.*?</figure>", text, re.DOTALL)
    assert len(shown) >= 4
    assert all("Above, with the first weights; below, with those of the best epoch." in one for one in shown)
    assert "<code>look.html</code>, beside this page" in (run.folder / "run.html").read_text()


def test_images_are_the_first_of_each_of_the_first_four_classes(run):
    data = open_data("digits")
    split = data.validation
    targets = [split.target(index) for index in range(len(split))]
    chosen = looks.images_of(data)
    assert chosen == [targets.index(one) for one in range(4)]
    text = (run.folder / "look.html").read_text()
    assert all(f"<td>{split.name(index)}</td>" in text for index in chosen)


def test_where_figures_are_many_fewer_images_are_looked_at(run, monkeypatch):
    from composer.training.network import opened

    monkeypatch.setattr(looks, "FIGURES", 4)
    assert looks.look_back(run, opened(run), open_data("digits"), print) is not None
    text = (run.folder / "look.html").read_text()
    assert text.count("<figure>") == 4
    assert "image 2" not in text


def test_the_first_weights_are_those_before_training(run, monkeypatch):
    seen = []

    def attention_on(model, images):
        seen.append({name: one.clone() for name, one in model.state_dict().items()})

        return Look("small", (), ())

    monkeypatch.setattr(looks, "attention_on", attention_on)
    from composer.training.checkpoint import read_weights
    from composer.training.network import opened

    model = opened(run)
    first = {name: one.clone() for name, one in model.state_dict().items()}
    model.load_state_dict(read_weights(run.weights))
    best = {name: one.clone() for name, one in model.state_dict().items()}
    state = torch.get_rng_state()
    assert looks.look_back(run, model, open_data("digits"), print) is not None
    assert equal(seen[0], best)
    assert equal(seen[1], first)
    assert not equal(first, best)
    # The network and the generator are as they were.
    assert equal(dict(model.state_dict()), best)
    assert torch.equal(torch.get_rng_state(), state)


def test_looking_changes_nothing_that_is_trained(run, tmp_path):
    other = trained(tmp_path / "without", {"look": False})
    assert not (tmp_path / "without" / "look.html").exists()
    assert equal(kept(other), kept(run))
    assert other.record["test"] == run.record["test"]


def test_images_of_the_user_are_looked_at(tmp_path):
    path = tmp_path / "mine.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    trained(tmp_path / "run", {"look": [str(path)]})
    text = (tmp_path / "run" / "look.html").read_text()
    assert "mine.png" in text
    assert "The images" not in text


def test_an_image_that_cannot_be_read_is_said_before_the_training(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png"):
        trained(tmp_path / "run", {"look": [str(tmp_path / "gone.png")]})
    assert not (tmp_path / "run").exists()


def test_a_network_without_attention_has_no_look(tmp_path):
    said = []
    run = trained(tmp_path / "run", network=SMALL, said=said)
    assert not (run.folder / "look.html").exists()
    assert "attention" not in "\n".join(said)


@pytest.mark.parametrize(
    "error",
    [UnavailableError(Diagnostic("extra", "figures need matplotlib", help=("pip install it",))), ValueError("odd")],
)
def test_what_goes_wrong_is_said_once_and_costs_no_run(run, monkeypatch, error):
    def fails(model, images):
        raise error

    said: list[str] = []
    monkeypatch.setattr(looks, "attention_on", fails)
    from composer.training.network import opened

    assert looks.look_back(run, opened(run), open_data("digits"), said.append) is None
    (line,) = said
    assert line.startswith("no look at attention: ")
    assert "figures need matplotlib; pip install it" in line or "ValueError: odd" in line
