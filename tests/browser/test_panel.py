"""The side panel of a page in a real browser."""

from __future__ import annotations

import pytest
from browser.conftest import pause

import composer
from composer import diff
from composer.dag.sketch import Sketch
from composer.notebook import frame_of
from composer.page.comparison import render_difference
from composer.page.render import render_page

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<b>"


def page_of(source):
    graph = composer.graph(source)
    return render_page(Sketch.of(graph), graph)


def write(path, source):
    path.write_text(page_of(source), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def se(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page") / "se.html", "papers/se/resnet50")


def panel_of(opened, path=None, network=None):
    """The panel with what it says of a node, or of the whole network."""
    wanted = {"path": path, "network": network}
    opened.page.evaluate(
        """({ path, network }) => {
            const { store } = composer;
            store.set({ panel: true, ...(network ? { network } : {}) });
            store.select(path, { reveal: true });
        }""",
        wanted,
    )
    return opened.page.locator("#panel")


def section(panel, heading):
    return panel.locator("section", has=panel.page.locator(f"h3:text-is('{heading}')"))


def test_an_inserted_mechanism(open_page, se):
    opened = open_page(se)
    panel = panel_of(opened, "layer2.1.se")
    assert panel.locator("h2").inner_text() == "se channel attention"
    assert panel.locator(".trail").inner_text().split() == ["layer2", "›", "1", "›", "se"]
    assert "put in by rule 1: se after branch" in section(panel, "Place").inner_text()
    assert "N×512×28×28" in section(panel, "Shapes").inner_text()
    cost = section(panel, "Cost").inner_text()
    assert "33,312" in cost
    assert "0.12 %" in cost
    assert "y=x⊙sigmoid(W2\u2009relu(W1\u2009meanhw(x)))" in section(panel, "Equation").text_content()
    assert "layer2.1.se.fc1.weight" in section(panel, "Weights").inner_text()
    assert "return x * self.attention(x)" in section(panel, "Code").inner_text()
    opened.assert_quiet()


def test_given_options_stand_out(open_page, se):
    panel = panel_of(open_page(se), "layer2.0.conv2")
    weights = panel.evaluate(
        """panel => Object.fromEntries([...panel.querySelectorAll(".options tr")].map(row => [
            row.querySelector("th").textContent,
            [row.querySelector(".value").textContent, getComputedStyle(row.querySelector(".value")).fontWeight >= 600],
        ]))"""
    )
    assert weights["kernel_size"] == ["3", True]
    assert weights["in_channels"] == ["128", False]
    assert "${1 if stride_in_1x1 else stride}" in section(panel, "Options").inner_text()


def test_the_paper_is_a_link_that_tells_nobody(open_page, se):
    link = section(panel_of(open_page(se), "layer1.0.se"), "Paper").locator("a")
    assert link.get_attribute("href") == "https://arxiv.org/abs/1709.01507"
    assert link.get_attribute("target") == "_blank"
    assert "noreferrer" in link.get_attribute("rel")


def test_which_copy_of_a_folded_box(open_page, se):
    opened = open_page(se)
    panel = panel_of(opened, "layer3.4.conv2")
    choice = panel.locator(".copies select")
    assert "Copy 4 of 5" in panel.locator(".copies").inner_text()
    assert choice.input_value() == "layer3.4.conv2"
    choice.select_option("layer3.2.conv2")
    assert opened.page.evaluate("composer.store.state.selected") == "layer3.2.conv2"
    assert "Copy 2 of 5" in panel.locator(".copies").inner_text()
    assert "layer3.2.conv2.weight" in section(panel, "Weights").inner_text()


def test_the_trail_leads_to_what_is_around(open_page, se):
    opened = open_page(se)
    panel = panel_of(opened, "layer1.0.se")
    panel.get_by_role("button", name="0", exact=True).click()
    assert opened.page.evaluate("composer.store.state.selected") == "layer1.0"
    assert "4 × conv2d" in section(panel, "Holds").inner_text()
    assert "y = self.se(y)" in section(panel, "Code").inner_text()
    panel.locator("summary").click()
    panel.get_by_role("button", name="downsample projection").click()
    assert opened.page.evaluate("composer.store.state.selected") == "layer1.0.downsample"


def test_the_path_can_be_copied(open_page, se):
    opened = open_page(se, permissions=["clipboard-read", "clipboard-write"])
    panel_of(opened, "layer1.0.se").get_by_role("button", name="Copy the path layer1.0.se").click()
    opened.page.locator("#panel .copy", has_text="Copied").wait_for()
    assert opened.page.evaluate("navigator.clipboard.readText()") == "layer1.0.se"


def test_the_whole_network_and_what_attention_added(open_page, se):
    opened = open_page(se)
    panel = panel_of(opened)
    assert "28,088,024" in section(panel, "Totals").inner_text()
    added = section(panel, "Attention").inner_text()
    assert "+2,530,992" in added
    assert "+9.9 %" in added
    panel.locator("summary", has_text="16 places").click()
    panel.get_by_role("button", name="layer4.2.se", exact=True).click()
    assert opened.page.evaluate("composer.store.state.selected") == "layer4.2.se"
    assert "25,557,032" in panel_of(opened, None, "base").inner_text()


def test_the_base_network_has_its_own_facts(open_page, se):
    opened = open_page(se)
    composed = section(panel_of(opened, "layer1.0"), "Cost").inner_text()
    base = section(panel_of(opened, "layer1.0", "base"), "Cost").inner_text()
    assert "83,472" in composed
    assert "75,008" in base
    assert "not in the network" in panel_of(opened, "layer1.0.se", "base").inner_text()
    opened.assert_quiet()


@pytest.mark.parametrize(("mode", "words"), [("parameters", "Parameters"), ("macs", "Multiply-accumulates")])
def test_colours_by_how_much(open_page, se, mode, words):
    # Otherwise a fill is read on its way from one colour to another.
    opened = open_page(se, reduced_motion="reduce")
    opened.page.evaluate("mode => composer.store.set({ colour: mode })", mode)
    legend = opened.page.locator("#legend")
    assert words in legend.inner_text()
    fills = opened.page.evaluate(
        """() => Object.fromEntries(["conv1", "act1", "fc", "layer4.0"].map(path =>
            [path, getComputedStyle(document.querySelector(`[data-path="${path}"] > .box`)).fill]))"""
    )
    assert len(set(fills.values())) >= 3
    # What has none of it is as the paper.
    assert fills["act1"] == opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.page.evaluate("composer.store.set({ colour: 'kind' })")
    assert words not in legend.inner_text()
    opened.assert_quiet()


CONTRASTS = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const probe = document.body.appendChild(document.createElement("span"));
    const luminance = colour => {
        probe.style.color = colour;
        canvas.fillStyle = getComputedStyle(probe).color;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(one => one / 255)
            .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const fills = ["added-fill", "removed-fill", "changed-fill", "moved-fill"];
    const inks = [...fills.flatMap(fill => [["faint", fill], ["ink", fill]])];
    const code = ["code-keyword", "code-string", "code-number"];
    const words = [...code, "faint", "pick", "added", "removed", "changed", "moved"];
    inks.push(...words.flatMap(word => [[word, "paper"], [word, "wash"]]), ["on-accent", "accent"]);
    return inks.map(([ink, fill]) => [ink, fill, contrast(`var(--${ink})`, `var(--${fill})`)]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_legible_on_every_colour(open_page, se, scheme):
    """WCAG AA, also on the fills of boxes, at which axe does not look."""
    found = open_page(se, color_scheme=scheme).page.evaluate(CONTRASTS)
    assert [one for one in found if one[2] < 4.5] == []


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_nothing_keeps_people_from_using_it(open_page, se, scheme):
    opened = open_page(se, color_scheme=scheme)
    opened.page.evaluate("composer.store.set({ source: true, colour: 'macs' })")
    for path in (None, "layer2.1.se", "layer1.0", "conv1"):
        panel_of(opened, path)
        assert opened.grave() == []


def test_hostile_names_and_options_are_text(open_page, tmp_path):
    spec = tmp_path / "hostile.yaml"
    name = HOSTILE.replace("'", "''")
    spec.write_text(
        f"# {HOSTILE}\nname: '{name}'\ninput: [3, 8, 8]\nnodes:\n"
        f"  a: {{op: relu, site: stem}}\n  b: {{op: rearrange, pattern: 'b c h w -> b h w c'}}\n",
        encoding="utf-8",
    )
    opened = open_page(write(tmp_path / "hostile.html", spec))
    for path in (None, "a", "b"):
        panel_of(opened, path)
    opened.page.evaluate("composer.store.set({ source: true })")
    assert HOSTILE in opened.page.locator("#source").inner_text()
    assert opened.page.locator("img, b:text('x')").count() == 0
    opened.assert_quiet()


def test_a_notebook_holds_the_page_in_a_frame(open_page, tmp_path):
    """It works with an origin of its own, where nothing can be stored and no address be changed."""
    file = tmp_path / "cell.html"
    file.write_text(f"<!doctype html><title>cell</title><body>{frame_of(page_of('resnet18'))}", encoding="utf-8")
    opened = open_page(file)
    frame = opened.page.frame_locator("iframe")
    frame.locator('[data-path="conv1"] > .name').click()
    assert "conv1" in frame.locator("#panel .trail").inner_text()
    pause(opened.page, 500)
    opened.assert_quiet()


def test_a_difference_lists_its_changes(open_page, tmp_path):
    file = tmp_path / "diff.html"
    file.write_text(render_difference(diff("resnet50", "papers/sk/resnext50_32x4d")), encoding="utf-8")
    opened = open_page(file)
    panel = opened.page.locator("#panel")
    assert "+1.92 M" in section(panel, "Differences").inner_text()
    panel.get_by_role("button", name="layer*.*.bn2").click()
    state = "[composer.store.state.network, composer.store.state.selected]"
    assert opened.page.evaluate(state) == ["base", "layer1.0.bn2"]
    opened.page.evaluate("composer.store.select(null)")
    panel.get_by_role("button", name="layer*.*.conv2").click()
    assert opened.page.evaluate(state) == ["composed", "layer1.0.conv2"]
    assert "changed" in opened.page.locator("#legend").inner_text()
    assert opened.grave() == []
    opened.assert_quiet()


def test_mistakes_are_there_at_once(open_page, tmp_path, run):
    spec, file = tmp_path / "bad.yaml", tmp_path / "bad.html"
    spec.write_text("backbone: resnet18\nattention:\n  - {use: mhsa, after: layer4.1.bn2, with: {num_heads: 7}}\n")
    assert run("graph", spec, "-o", file).code == 1
    opened = open_page(file)
    problem = opened.page.locator("#panel .problem")
    assert "do not divide into 7 heads" in problem.inner_text()
    problem.get_by_role("button", name="layer4.1.bn2").click()
    assert opened.page.evaluate("composer.store.state.selected") == "layer4.1.bn2"
    assert "do not divide" in opened.page.locator("#panel .problem").inner_text()
    assert opened.grave() == []
    opened.assert_quiet()
