"""The page of a run in a browser: it asks nobody, fits a phone, and axe-core finds nothing that keeps people out."""

from __future__ import annotations

import re

import pytest
from training.small import record, trained

from composer.training.page import write_page


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run at its end."""
    return trained(tmp_path_factory.mktemp("page") / "run", {"epochs": 2})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_of_a_finished_run(finished, open_page, scheme):
    opened = open_page(finished.folder / "run.html", color_scheme=scheme)
    opened.assert_quiet()
    assert opened.grave() == []
    assert opened.page.locator("h2").all_text_contents() == ["Curves", "What is confused", "Worst mistakes"]
    value = record(finished)["test"]["value"]
    assert f"top1 {value:.4f}" in opened.page.locator("main").inner_text()
    narrow = open_page(finished.folder / "run.html", viewport={"width": 360, "height": 700})
    assert narrow.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_page_of_a_run_that_trains_reads_itself_again(finished, open_page):
    finished.write_record({**record(finished), "state": "training"})
    write_page(finished)
    opened = open_page(finished.folder / "run.html")
    assert re.search(r"2\sepochs so far", opened.page.locator("main").inner_text())
    with opened.page.expect_navigation(timeout=15_000):
        pass
    opened.assert_quiet()
