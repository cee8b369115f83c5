"""What the page is given of a view: all of it, once, and in a size and time that large networks bear."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from composer.draw import measure
from composer.draw.text import width
from composer.draw.view import opened_at
from composer.page.views import Shared


def written(view):
    shared = Shared()
    return shared.view(view), shared.tables()


def paths_of(root):
    for box in root["boxes"]:
        yield box["path"]
        if "inner" in box:
            yield from paths_of(box["inner"])


@pytest.mark.parametrize("name", ["papers/se/resnet50", "densenet121", "unet"])
def test_every_box_is_there(view_of, name):
    view = view_of(name)
    root, _ = written(view)
    assert list(paths_of(root)) == [box.path for box in view.walk()]


def test_copies_and_containers_of_one_form_share_a_layout(view_of):
    view = view_of("papers/se/resnet50")
    _, tables = written(view)
    # The network, its stages, blocks with and without a projection, and the projections: some of several widths.
    assert 5 <= len(tables["layouts"]) < sum(box.inner is not None for box in view.walk())


def test_networks_of_one_page_share_theirs(view_of):
    shared = Shared()
    one = shared.view(view_of("resnet50"))
    count = len(shared.tables()["layouts"])
    assert shared.view(view_of("resnet50")) == one
    assert len(shared.tables()["layouts"]) == count


def test_a_layout_is_of_closed_boxes_whether_they_are_open_or_not(make):
    inner = make.view([make.box("a")], [("in:input", "a"), ("a", "out:output")])
    box = make.box("stage", inner=inner, holds=((0, "se", 12),), num_parameters=1234)
    view = make.view([box], [("in:input", "stage"), ("stage", "out:output")])
    closed = opened_at(view, ())
    (given, tables), (shut, others) = written(view), written(closed)
    assert given["boxes"][0]["look"] == shut["boxes"][0]["look"] == "holds"
    (number,) = given["layouts"]
    _, (_, _, width, height), _ = tables["layouts"][number]["items"]
    assert tables["layouts"][number] == others["layouts"][0]
    assert (width, height) == (measure.box_width(closed), measure.box_height(closed.boxes[0]))


def test_what_is_open_at_first_has_a_layout_of_its_own(make):
    inner = make.view([make.box("a")], [("in:input", "a"), ("a", "out:output")])
    boxes = [make.box("stage", inner=inner), make.box("rest", inner=inner)]
    view = make.view(boxes, [("in:input", "stage"), ("stage", "rest"), ("rest", "out:output")])
    shared = Shared(open={"stage"})
    root = shared.view(view)
    closed, first = (shared.layouts.rows[number]["items"] for number in root["layouts"])
    assert [height for *_, height in closed] != [height for *_, height in first]
    assert closed[2][3] == first[2][3] < first[1][3]
    assert [len(box["inner"]["layouts"]) for box in root["boxes"]] == [1, 1]


def test_all_that_is_written_can_be_measured(view_of):
    root, tables = written(view_of("papers/cbam/resnet50"))
    regular, bold = tables["characters"]

    def words(view):
        for box in view["boxes"]:
            yield from (box["label"], box.get("detail", ""), box.get("row", ""), *box.get("pills", ()))
            yield from (shape for _, shape in box.get("shapes", ()))
            if "inner" in box:
                yield from words(box["inner"])

    for one in words(root):
        assert sum(regular[character] for character in one) == width(one, 1000.0)
        assert set(one) <= set(bold)


def test_names_are_made_visible_and_paths_stay(make):
    box = make.box("a\u202eb\x00")
    root, _ = written(make.view([box], [("in:input", box.name), (box.name, "out:output")]))
    assert root["boxes"][0]["label"] == "a\ufffdb\ufffd"
    assert root["boxes"][0]["path"] == "a\u202eb\x00"


def test_ten_thousand_nodes(make):
    """Their time as a share of that of a tenth: no two machines take the same."""

    def network(stages):
        def chain(path, boxes):
            names = [box.name for box in boxes]
            view = make.view(boxes, [("in:input", names[0]), *pairwise(names), (names[-1], "out:output")])
            return replace(view, path=path)

        def block(path):
            inner = chain(path, [replace(make.box(f"n{one}"), path=f"{path}.n{one}") for one in range(16)])
            return replace(make.box(path.rpartition(".")[2], inner=inner), path=path)

        return chain(
            "",
            [
                make.box(f"s{one}", inner=chain(f"s{one}", [block(f"s{one}.b{two}") for two in range(25)]))
                for one in range(stages)
            ],
        )

    def seconds(stages):
        view, times = network(stages), []
        for _ in range(2):
            start = time.process_time()
            root, tables = written(view)
            times.append(time.process_time() - start)
        return min(times), root, tables

    small, _, _ = seconds(3)
    large, root, tables = seconds(24)
    assert large < 24 * small
    assert sum(1 for _ in paths_of(root)) == 24 * (1 + 25 * 17)
    assert len(tables["layouts"]) == 3
    assert len(json.dumps([root, tables])) < 4_000_000
