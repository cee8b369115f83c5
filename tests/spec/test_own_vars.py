"""Vars that a spec without nodes adds for its own rules, and the misspelt ones that it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import composer
from composer import SpecError

RULE = {"use": "se", "after": "branch", "with": {"reduction": "$ratio"}}


def variant(**changes: Any) -> dict[str, Any]:
    return {"backbone": "resnet18", "vars": {"ratio": 8}, "attention": [RULE], **changes}


def reductions(source: Any, **given: Any) -> set[int]:
    found = composer.graph(source, **given)
    return {node.content.arguments["reduction"] for node, _ in found.operations if node.op == "se"}


def fails(source: Any, **given: Any) -> str:
    with pytest.raises(SpecError) as caught:
        composer.load(source, **given)
    return str(caught.value)


def test_rules_read_vars_of_their_own_file() -> None:
    assert reductions(variant()) == {8}
    assert reductions(variant(), vars={"ratio": 4}) == {4}
    half = variant(vars={"ratio": 8, "half": "${ratio // 2}"}, attention=[{**RULE, "with": {"reduction": "$half"}}])
    assert reductions(half) == {4}
    where = variant(vars={"ratio": 8, "first": 3}, attention=[{**RULE, "where": "stage >= first"}])
    assert len(composer.graph(where).inserted) == 4


def test_a_declaration_says_what_the_var_may_be() -> None:
    declared = variant(vars={"ratio": {"default": 8, "minimum": 1, "choices": [4, 8]}})
    assert reductions(declared) == {8}
    assert "`ratio` is the number 5" in fails(declared, vars={"ratio": 5})
    assert "unknown key `minimun`" in fails(variant(vars={"ratio": {"default": 8, "minimun": 1}}))


def test_what_nothing_in_the_file_reads_is_most_likely_misspelt() -> None:
    assert "did you mean `num_classes`?" in fails(variant(vars={"ratio": 8, "num_clases": 10}))
    assert "unknown var `ratoi`" in fails(variant(vars={"ratio": 8, "ratoi": 4}))
    assert "unknown var `ratio`" in fails({"backbone": "resnet18", "vars": {"ratio": 8}})
    # In a rule this name means the place's channels, so nothing could read the var.
    shadowed = variant(vars={"channels": 8}, attention=[{**RULE, "with": {"reduction": "$channels"}}])
    assert "unknown var `channels`" in fails(shadowed)


def test_nearer_files_set_the_var_and_do_not_declare_it_again(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(json.dumps(variant()))
    (tmp_path / "near.yaml").write_text("backbone: below.yaml\nvars: {ratio: 2}\n")
    assert reductions(tmp_path / "near.yaml") == {2}
    (tmp_path / "again.yaml").write_text("backbone: below.yaml\nvars: {ratio: {default: 2}}\n")
    assert fails(tmp_path / "again.yaml").count("error:") == 1
    assert "`ratio` is declared where it is set" in fails(tmp_path / "again.yaml")


def test_a_lock_keeps_the_var() -> None:
    written = composer.load(variant(), vars={"ratio": 4}).to_mapping()
    assert reductions(written) == {4}
