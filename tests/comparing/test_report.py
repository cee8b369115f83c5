"""The report stands alone, and text of users stays text; tests/browser opens it."""

from __future__ import annotations

import pytest

from composer.amounts import three_figures
from composer.comparing import scatter
from composer.comparing.file import read_comparison
from composer.comparing.plan import make_plan
from composer.comparing.scatter import Axis, Point
from composer.comparing.write import write as write_plan

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def page(write, tmp_path):
    """A report whose names are hostile."""
    name = HOSTILE.replace("/", "")
    path = write(
        f"""\
name: "{HOSTILE}"
description: "</style><img src=x onerror=alert(2)>"
base: tiny.yaml
variants:
  "{name}": {{use: se, after: branch, with: {{reduction: 2}}}}
  eca: {{use: eca, after: branch}}
  gone: {{use: se, after: nowhere}}
"""
    )
    write_plan(make_plan(read_comparison(path)), tmp_path / "out")
    return tmp_path / "out" / "report.html"


def test_text_of_users_is_escaped(page):
    text = page.read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "default-src 'none'" in text
    assert "no place is called" in text


def test_the_front_has_what_no_other_beats():
    points = [Point(n, str(n), "variant", x, y) for n, (x, y) in enumerate([(1, 1), (2, 3), (3, 2), (2, 2), (4, 4)])]
    assert [one.number for one in scatter.front(points, upward=True)] == [0, 1, 4]
    assert [one.number for one in scatter.front(points, upward=False)] == [0]


def test_points_lie_within_the_plot_and_in_order():
    points = [Point(n, str(n), "variant", n / 7, -n) for n in range(1, 12)]
    svg = scatter.scatter(points, Axis("x", str), Axis("y", str), upward=True)
    xs = [float(part.split('"')[0]) for part in svg.split('cx="')[1:]]
    ys = [float(part.split('"')[0]) for part in svg.split('cy="')[1:]]
    assert xs == sorted(xs)
    assert ys == sorted(ys)
    assert min(xs) >= 0
    assert max(xs) <= scatter.WIDTH
    assert scatter.scatter(points[:1], Axis("x", str), Axis("y", str), upward=True) == ""


@pytest.mark.parametrize("values", [(0.0, 0.0), (1e-9, 2e-9), (-5.0, 1e12), (3.0, 3.0)])
def test_any_numbers_make_an_axis(values):
    points = [Point(n, "", "variant", one, one) for n, one in enumerate(values)]
    assert scatter.scatter(points, Axis("x", str), Axis("y", str), upward=False).endswith("</svg>")


def test_ticks_have_the_digits_that_tell_them_apart():
    points = [Point(1, "a", "plain", 543_000, 1), Point(2, "b", "variant", 543_009, 2)]
    ticks = scatter.scatter(points, Axis("x", lambda one: three_figures(round(one))), Axis("y", str), upward=True)
    assert "543,002" in ticks
    assert "543 k</text>" not in ticks
