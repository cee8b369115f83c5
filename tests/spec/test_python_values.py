"""What Python hands over in place of YAML: plain values of other libraries are values, the rest is refused."""

from __future__ import annotations

import numpy as np
import pytest

from composer.errors import SpecError
from composer.spec.load import load_spec

NET = {"input": [3, 8, 8], "vars": {"width": 8, "rate": 0.5, "depths": [1]}, "nodes": {"act": "relu"}}


def test_numbers_and_arrays_of_numpy() -> None:
    vars = {"width": np.int64(4), "rate": np.float32(0.25), "depths": np.array([1, 2])}
    assert load_spec(NET, vars=vars).vars == {"width": 4, "rate": 0.25, "depths": [1, 2]}


def test_containers_of_omegaconf() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    given = omegaconf.OmegaConf.create(NET)
    assert load_spec(given, vars=omegaconf.OmegaConf.create({"depths": [1, 2]})).vars["depths"] == [1, 2]


@pytest.mark.parametrize("value", ["a\x1b[31m", "a\u202eb", "a\u2066b", "a\x00"])
def test_text_that_would_not_show(value: str) -> None:
    for spec in ({**NET, "name": value}, {**NET, "classes": [value]}):
        with pytest.raises(SpecError, match="would not show, and hide what does"):
            load_spec(spec)


@pytest.mark.parametrize("name", ["größe", "αβ", "層1", "слой"])
def test_names_of_any_script(name: str) -> None:
    assert list(load_spec({**NET, "nodes": {name: "relu"}}).nodes) == [name]


@pytest.mark.parametrize("name", ["a.b", "a b", "ﬁ", "a\u200db", "1a", "class", "é" * 101])
def test_names_that_are_no_attribute(name: str) -> None:
    with pytest.raises(SpecError, match="cannot name a node"):
        load_spec({**NET, "nodes": {name: "relu"}})


def test_rules_have_a_bound() -> None:
    rule = {"use": "ge_minus", "after": "act"}
    load_spec({**NET, "attention": [rule] * 500})
    with pytest.raises(SpecError, match="there are 501 rules, and at most 500 can apply"):
        load_spec({**NET, "attention": [rule] * 501})
