"""The preview in a real browser: it follows the text, keeps the last good picture, and a click asks for the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from composer.errors import Location
from composer.live.preview import Preview
from composer.live.reading import Reader
from composer.live.state import State

TEXT = "input: [3, 8, 8]\nnodes:\n  first: relu\n  second: sigmoid\n"


@pytest.fixture
def went() -> list[Location]:
    return []


@pytest.fixture
def preview(went: list[Location]) -> Iterator[Preview]:
    preview = Preview(State("net.yaml"), went.append)
    preview.start()
    yield preview
    preview.close()


def test_it_follows_the_text(browser: Any, preview: Preview, went: list[Location]) -> None:
    reader, state = Reader(), preview.state

    def write(text: str) -> None:
        state.show(reader.compose(reader.read(text, Path("net.yaml"))))

    write(TEXT)
    state.keep()
    page, complaints, strangers = browser.new_page(), list[str](), list[str]()
    page.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda one: complaints.append(str(one)))
    page.on("request", lambda one: strangers.append(one.url) if not one.url.startswith(preview.address) else None)
    page.goto(preview.address)
    picture = page.frame_locator("#picture")
    picture.locator('[data-path="second"]').first.click()
    page.locator("#status", has_text="net.yaml:4").wait_for()
    assert [one.line for one in went] == [4]
    page.frames[1].wait_for_url("**/page?1#s=second*")

    write(TEXT.replace("sigmoid", "sigmod"))
    page.get_by_role("button", name="did you mean `sigmoid`?").wait_for()
    assert "the picture is the last good one" in page.locator("#status").text_content()
    assert picture.locator('[data-path="second"]').count()

    write(TEXT + "  third: tanh\n")
    picture.locator('[data-path="third"]').first.wait_for()
    assert page.locator("#problems li").count() == 0
    assert "third" in page.locator("#changes").text_content()
    # What was selected still is.
    page.frames[1].wait_for_url("**/page?2#s=second*")
    assert (complaints, strangers) == ([], [])
    page.close()
