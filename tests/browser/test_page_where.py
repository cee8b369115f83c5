"""Conditions in the search field: the language of `where`, evaluated by the script as by Python."""

from __future__ import annotations

import pytest

import composer
from composer.dag.operation import Operation
from composer.dag.rules.places import Places
from composer.spec.expression import parse
from composer.spec.tokens import ExpressionError

SOURCE = "papers/cbam/resnet50"
# Every name with its value, for each node.
NAMES = """() => {
    const { nodes, names } = composer.named();
    return Object.fromEntries([...nodes].map(([path, own]) =>
        [path, Object.fromEntries([...names].map(name => [name, own[name] ?? null]))]));
}"""
# What the script makes of an expression at each node: true, false, or null where it is wrong.
HOLDS = """text => {
    const { nodes, names, parse, holds } = composer.named();
    let tree;
    try { tree = parse(text); } catch { return null; }
    return Object.fromEntries([...nodes].map(([path, own]) => {
        try { return [path, holds(tree, name => names.has(name) ? own[name] ?? null : undefined)]; }
        catch { return [path, null]; }
    }));
}"""
EXPRESSIONS = [
    'op == "conv2d" and channels >= 256',
    "stage >= 2 and kernel_size == 3 and parameters > 1e6",
    "kind == 'channel+spatial'",
    "not (kind == 'conv' or kind == 'norm')",
    "not not stage == 1",
    "op in ['relu', 'add']",
    "op not in ['relu', 'add',]",
    "'conv' in path and 'layer3' in path",
    "'branch' in sites",
    "1 < stage < 4",
    "stage != null and block == stage",
    "stage == None",
    "macs / parameters > 1000",
    "parameters // 1000 == 1 or parameters % 2 == 1",
    "-parameters + 1 > -100",
    "height * width * channels == 802816",
    "height * width == 49 if stage == 4 else height == 112",
    "memory > 3e6 and rule == 1",
    "bias == false and groups == 1",
    "reduction == 16",
    "stride == [2, 2]",
    "'a' < op",
    "parameters",
    "op",
    "op > 3",
    "sites + ['x'] == ['x']",
    "op + '1' == 'relu1'",
    "nothing == 1",
    "stage / 0 == 1",
    "true",
    "null",
    "parameters == 0 == false",
    "stage == 1 or nothing",
    "((((stage == 1))))",
    "stage in [1, 2] and not block in [1]",
    ".5 < 1.",
]
WRONG = {
    "": 0,
    "stage >=": 8,
    "stage = 2": 6,
    "stage == 2 && block == 1": 11,
    "(stage == 2": 11,
    "op == 'conv": 6,
    "stage == 2 3": 11,
    "stage == $x": 9,
    "[1, 2": 5,
}


@pytest.fixture
def page(page_of, open_page):
    opened = open_page(page_of(SOURCE), reduced_motion="reduce")
    yield opened.page
    opened.assert_quiet()


def expected(text, nodes):
    """What Python makes of an expression at each node; None where it is wrong."""
    try:
        expression = parse(text)
    except ExpressionError:
        return None
    found = {}
    for path, names in nodes.items():
        try:
            value = expression.evaluate(names)
            found[path] = value if isinstance(value, bool) else False if value is None else None
        except ExpressionError:
            found[path] = None
    return found


def test_python_and_the_script_agree(page):
    nodes = page.evaluate(NAMES)
    assert len(nodes) > 200
    for text in EXPRESSIONS:
        wanted = expected(text, nodes)
        assert wanted is not None, text
        assert page.evaluate(HOLDS, text) == wanted, text
    several = [set(expected(text, nodes).values()) for text in EXPRESSIONS]
    assert sum(one == {True, False} for one in several) > 15, "most tell nodes apart"


def test_what_is_no_expression_is_wrong_at_the_same_place(page):
    for text, offset in WRONG.items():
        with pytest.raises(ExpressionError) as caught:
            parse(text)
        found = page.evaluate(
            "text => { try { composer.named().parse(text); } catch (error) { return error.offset; } }", text
        )
        assert found == caught.value.offset == offset, text


def test_names_are_the_facts_of_places(page):
    nodes = page.evaluate(NAMES)
    graph = composer.graph(SOURCE)
    compared = 0
    for place in Places.of(graph.root):
        if place.passes:
            continue
        facts = place.facts("after", last=False)
        own = nodes[place.node.path]
        names = ["stage", "block", "op", "path", "kernel_size", "stride", "groups"]
        for name in names + ["kind"] * isinstance(place.node.content, Operation):
            assert own[name] == facts[name], (place.node.path, name)
        for name in ("channels", "height", "width"):
            if place.node.tail is None:
                assert own[name] == facts[name], (place.node.path, name)
                compared += 1
    assert compared > 400


def search(page, words):
    page.keyboard.press("/")
    page.keyboard.type(words)


def paths(page):
    return page.locator("#results [role=option] .path").all_text_contents()


def test_a_condition_filters_nodes(page):
    search(page, "stage == 4 and kernel_size == 3 and op == 'conv2d'")
    assert paths(page) == ["layer4.0.conv2", "layer4.1.conv2", "layer4.2.conv2"]
    assert page.locator(".search .count").text_content() == "3 nodes"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate("composer.store.state.selected") == "layer4.1.conv2"
    assert page.locator("#results").is_hidden(), "the list closes, and the words stay"
    assert page.locator("#query").input_value().startswith("stage == 4")
    page.keyboard.press("ArrowDown")
    assert page.locator("#results").is_visible()


@pytest.mark.parametrize(
    ("words", "marked", "message"),
    [
        ("chanels >= 3", "chanels", "no node has a chanels; there is channels"),
        ("channels >=", " ", "expected a value, found the end"),
        ("stage > 9 and chanels > 3", "chanels", "no node has a chanels"),
        ("stage = 3", "=", "compare with =="),
        ("op > 3", ">", "cannot order 'conv2d' and 3"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(page, words, marked, message):
    search(page, words)
    assert page.locator("#results mark").text_content() == marked
    assert message in page.locator("#results .wrong span").text_content()
    assert page.locator(".search .count").text_content() == "0 nodes"
