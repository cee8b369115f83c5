"""A few inputs of every kind that nobody would write: none ends in anything but composer's own errors."""

from __future__ import annotations

import pytest
import yaml
from fuzz.inputs import KINDS, SPEC
from fuzz.trying import try_inputs

import composer


def test_what_the_inputs_are_made_from_is_fine():
    assert len(composer.graph(yaml.safe_load(SPEC)).inserted) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_inputs_end_in_our_own_errors(kind):
    tally = try_inputs(kind, seconds=3, most=150)
    assert tally.tried > 0
    assert tally.unhandled == []
    assert tally.timeouts == []
