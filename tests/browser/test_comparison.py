"""The report of a comparison in a browser: it asks nobody, and axe-core finds nothing that keeps people out."""

from __future__ import annotations

import pytest
from comparing.conftest import write
from comparing.test_runner import Learner, plan, ran

from composer.comparing.write import write_results

__all__ = ["plan", "write"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_every_run_and_asks_nobody(plan, tmp_path, open_page, scheme):
    folder = tmp_path / "out"
    results = ran(plan, folder, Learner([("good", 4)]))
    write_results(results, folder)
    opened = open_page(folder / "report.html", color_scheme=scheme)
    opened.assert_quiet()
    assert opened.grave() == []
    assert opened.page.locator("svg.plot circle.run").count() == sum(one.pairs for _, one in results.verdicts)
    # In its row, and in the sentence on trainings that failed.
    assert opened.page.locator("text=ValueError: the loss is not finite").count() == 2
    narrow = open_page(folder / "report.html", viewport={"width": 360, "height": 700})
    assert narrow.page.evaluate("document.documentElement.scrollWidth") <= 360
