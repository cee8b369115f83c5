"""`composer search` refuses in its words before any work."""

from __future__ import annotations

EXAMPLE = "examples/compare/search.yaml"


def test_what_is_missing_is_said(run, tmp_path):
    assert run("search", EXAMPLE).code == 2
    assert run("search", EXAMPLE, "--data", "digits", "-o", "-").code == 2
    file = tmp_path / "compare.yaml"
    file.write_text("base: resnet10\nvariants: {se: {use: se, after: branch}}\n")
    none = run("search", file, "--data", "digits", "-o", tmp_path / "out")
    assert none.code == 1
    assert "the file has no `search`" in none.err
    assert not (tmp_path / "out").exists()


def test_the_example_is_a_search_and_a_comparison(run):
    from composer.comparing.file import read_comparison

    found = read_comparison(EXAMPLE).content
    assert found.search is not None
    assert found.search_seed == 6
    assert run("compare", EXAMPLE).code == 0
