"""The parts of docstrings, and where papers can be read."""

from __future__ import annotations

import pytest

from composer import registry
from composer.docstring import SECTIONS, link, sections

# Their papers are in proceedings that number nothing, without a preprint.
WITHOUT_A_NUMBER = {"simam", "gct_gaussian"}


def test_lines_that_go_on_belong_to_their_part():
    doc = "Gate.\n\nMath:    y = x * g\n         g = sigmoid(z)\nParams:  0\n\n`gate: x` is no part.\nNote:    nor\n"
    assert sections(doc) == {"Math": "y = x * g\ng = sigmoid(z)", "Params": "0"}
    assert sections("") == {}


@pytest.mark.parametrize("entry", registry.entries("mechanism"), ids=lambda entry: entry.name)
def test_every_mechanism_has_all_parts_and_a_paper_to_read(entry):
    found = sections(entry.doc)
    assert list(found) == list(SECTIONS)
    address = link(found["Source"])
    if entry.name in WITHOUT_A_NUMBER:
        assert address is None
    else:
        assert address.startswith(("https://arxiv.org/abs/", "https://doi.org/"))


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("Hu et al. arXiv:1709.01507", "https://arxiv.org/abs/1709.01507"),
        ("He et al. doi:10.1109/CVPR.2016.90.", "https://doi.org/10.1109/CVPR.2016.90"),
        ("Me, https://evil.example/x", None),
        ("arXiv:javascript:alert(1)", None),
    ],
)
def test_only_papers_are_linked(source, address):
    assert link(source) == address
