"""The costs of a plan are those of the networks themselves, and controls cost what they say."""

from __future__ import annotations

import csv
import io
import json

import pytest

import composer
from composer.benchmark import Settings
from composer.comparing.file import read_comparison
from composer.comparing.plan import make_plan
from composer.comparing.table import cells, heads
from composer.comparing.write import spec_of
from composer.comparing.write import write as write_plan
from composer.errors import GraphError, InputError, SpecError
from composer.summary.memory import activation_memory

TEXT = """\
base: tiny.yaml
variants:
  se: {use: se, after: branch, with: {reduction: 2}}
  cbam: {use: cbam, after: block, where: stage == 2, with: {reduction: 4}}
  both: [{use: eca, after: branch}, {use: eca, after: stage}]
"""


def planned(path, sets=(), **options):
    return make_plan(read_comparison(path, sets), **options)


def test_costs_are_those_of_the_networks(write):
    path = write(TEXT)
    plan = planned(path)
    rules = {"plain": [], **read_comparison(path).content.variants}
    for row in plan.rows:
        own = rules[row.arm.variant]
        alone = composer.compose(_beside(path, own))
        assert row.graph is not None
        assert (row.parameters, row.macs) == (alone.num_parameters, alone.num_macs)
        assert row.memory == sum(activation_memory(alone.root).values())
    assert [(row.fitted, row.asked) for row in plan.rows] == [(0, 0), (2, 2), (1, 1), (4, 4)]


def _beside(path, rules):
    file = path.parent / "alone.yaml"
    file.write_text(json.dumps({"backbone": "tiny.yaml", "attention": rules if isinstance(rules, list) else [rules]}))
    return file


def test_what_does_not_compose_is_a_row_with_its_sentence(write):
    plan = planned(write("base: tiny.yaml\nvariants: {odd: {use: mhsa, after: head}, out: {use: se, after: nowhere}}"))
    odd, out = plan.rows[1:]
    assert (odd.graph, odd.asked, odd.fitted) == (None, 1, 0)
    assert odd.reason == "head: `mhsa` works on `b n c`, the place has `b c` (b×4)"
    assert out.reason == "no place is called `nowhere`"
    assert plan.declared == []
    assert plan.sentences() == ["3 networks, 2 cannot be composed"]


def test_places_that_fit_are_counted_where_some_do_not(write):
    text = "base: mobilenetv3_small_100\nvariants: {sasa: {use: sasa, replace: spatial_conv}}"
    row = planned(write(text)).rows[1]
    assert (row.fitted, row.asked) == (8, 11)
    assert row.reason.startswith("blocks.1.0.conv_dw: `sasa` does not fit b×72×56×56")


def test_an_unknown_mechanism_is_a_mistake_of_the_file(write):
    with pytest.raises(GraphError) as error:
        planned(write("base: tiny.yaml\nvariants: {se: {use: see, after: branch}}"))
    assert "= at: variants.se.use" in str(error.value)
    assert "compare.yaml:2:22" in str(error.value)


def test_a_plain_network_that_does_not_compose_is_a_mistake_of_the_file(write):
    with pytest.raises(GraphError, match="positive whole numbers"):
        planned(write("base: tiny.yaml\ninput: [3, 0, 1]\nsweep: {use: se, after: branch}"))


def test_a_variant_over_the_budget_is_shown_and_not_declared(write):
    plan = planned(write(f"{TEXT}budget: {{parameters: +5%, macs: 106300}}\n"))
    over = {row.arm.variant: row.over for row in plan.rows}
    assert over["plain"] == over["both"] == ()
    assert over["se"] == (
        "parameters +8.2 %, and at most +5% is allowed",
        "MACs +0.3 %, and at most 106,300 is allowed",
    )
    assert [one.variant for one in plan.declared] == [name for name in ("cbam", "both") if not over[name]]


@pytest.mark.parametrize("kind", ["wider", "deeper"])
@pytest.mark.parametrize("match", ["parameters", "macs"])
def test_a_control_is_a_plain_network_whose_cost_misses_by_what_it_says(write, kind, match):
    rule = "{use: conv2d, after: block, with: {out_channels: $channels, kernel_size: 3}}"
    text = f"base: tiny.yaml\nvariants: {{big: {rule}}}\ncontrol: {{{kind}: true, match: {match}}}\n"
    plan = planned(write(text))
    (pair,) = (one for one in plan.pairs if one.kind == kind)
    variant, control = plan.rows[1], plan.rows[-1]
    assert control.arm.kind == "control"
    assert control.arm.variant == pair.against
    assert control.graph is not None
    assert not control.graph.spec.rules
    assert pair.miss == pytest.approx(getattr(control, match) / getattr(variant, match) - 1)
    assert abs(pair.miss) < (0.05 if kind == "wider" else 0.3)
    assert [one.against for one in plan.declared] == ["plain", pair.against]


def test_equal_controls_are_one_network(write):
    rules = [f"{name}: {{use: cbam, {name}: block, with: {{reduction: 2}}}}" for name in ("before", "after")]
    text = f"base: tiny.yaml\nvariants: {{{', '.join(rules)}}}\n"
    plan = planned(write(text + "control: {wider: widths}\n"))
    against = [one.against for one in plan.pairs if one.kind == "wider"]
    assert len([row for row in plan.rows if row.arm.kind == "control"]) == len({*against} - {None})


def test_a_family_without_such_a_var_says_so(write, tmp_path):
    (tmp_path / "fixed.yaml").write_text(
        "input: [3, 8, 8]\nnodes: {conv: {op: conv2d, out_channels: 4, kernel_size: 1, site: stem}}\n"
    )
    path = write(
        "base: fixed.yaml\nvariants: {se: {use: se, after: stem, with: {reduction: 2}}}\ncontrol: {wider: true}"
    )
    plan = planned(path)
    assert plan.pairs[1].against is None
    assert plan.pairs[1].reason == "`fixed.yaml` has no var that is known to make it wider; name one: `wider: VAR`"
    assert cells(plan)[1][-1].startswith("no wider control: `fixed.yaml` has no var")
    with pytest.raises(SpecError, match="has no var `width`") as error:
        planned(path, ["control.wider=width"])
    assert "= at: control.wider" in str(error.value)


def test_too_few_seeds_are_said_before_the_first_run(write):
    plan = planned(write(f"{TEXT}seeds: 6"))
    assert plan.sentences()[1:] == [
        "3 comparisons declared; 6 seeds each: 24 runs",
        "6 seeds cannot show any difference after the correction for 3 comparisons: it takes 7",
    ]
    assert len(planned(write(f"{TEXT}seeds: 7")).sentences()) == 2


def test_latency_is_measured_in_turn_against_the_plain_network(write):
    plan = planned(write(TEXT), latency=Settings(batch=1, runs=6))
    assert heads(plan)[6:8] == ["latency", "ratio"]
    assert {key for _, key in plan.measured} == {"plain", "se", "cbam", "both"}
    assert plan.measured[("tiny.yaml", "plain")].ratio is None
    values = plan.values(plan.rows[1])
    assert values["latency"] > 0
    assert values["latency_ratio"]["low"] <= values["latency_ratio"]["high"]


def test_the_folder_has_what_runs_it_again(write, tmp_path):
    plan = planned(write(f"{TEXT}control: {{wider: true}}\n"))
    folder = tmp_path / "out"
    written = write_plan(plan, folder)
    assert {path.name for path in written} >= {"report.html", "networks.csv", "plan.json", "tiny.yaml_se.yaml"}
    rows = list(csv.DictReader(io.StringIO((folder / "networks.csv").read_text())))
    assert [row["variant"] for row in rows] == [row.arm.variant for row in plan.rows]
    specs = sorted((folder / "specs").iterdir())
    assert len(specs) == len(plan.rows)
    assert {composer.compose(path).num_parameters for path in specs} == {row.parameters for row in plan.rows}
    assert json.loads((folder / "plan.json").read_text())["declared"] == len(plan.declared)
    with pytest.raises(InputError, match="exists"):
        write_plan(plan, folder)
    write_plan(plan, folder, force=True)


def test_specs_of_the_zoo_stay_short(write, tmp_path):
    path = write("base: resnet18\nvars: {num_classes: 3}\nvariants: {se: {use: se, after: branch}}")
    write_plan(planned(path), tmp_path / "out")
    text = (tmp_path / "out/specs/resnet18_se.yaml").read_text()
    assert "backbone: resnet18\n" in text
    assert len(text.splitlines()) < 10


def test_force_removes_the_specs_of_the_report_that_it_replaces_and_no_others(write, tmp_path):
    text, folder = "base: tiny.yaml\nvariants:\n  se: {use: se, after: branch}\n", tmp_path / "out"
    write_plan(make_plan(read_comparison(write(text))), folder)
    (folder / "specs" / "mine.yaml").write_text("name: mine\n")
    write_plan(make_plan(read_comparison(write(text.replace(" se", " eca")))), folder, force=True)
    assert {one.name for one in (folder / "specs").iterdir()} == {"tiny.yaml.yaml", "tiny.yaml_eca.yaml", "mine.yaml"}


def test_a_spec_of_the_folder_on_a_zoo_network_is_written_so_that_it_loads(write, tmp_path):
    # The zoo's network has a thousand names of classes, and this one ten outputs.
    (tmp_path / "ten.yaml").write_text("backbone: resnet10\nvars: {num_classes: 10}\n")
    plan = make_plan(read_comparison(write("base: ten.yaml\nvariants: {eca: {use: eca, after: branch}}\n")))
    for row in plan.rows:
        mapping = spec_of(plan, row)
        assert "backbone" not in mapping
        assert composer.Graph.of(composer.load_spec(mapping)).num_parameters == row.parameters


def test_files_are_called_by_their_names_where_these_are_clear(write, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("small.yaml", "other/tiny.yaml"):
        (tmp_path / name).write_text((tmp_path / "tiny.yaml").read_text())
    rest = "variants: {eca: {use: eca, after: branch}}\n"
    plan = make_plan(read_comparison(write(f"backbones: [tiny.yaml, small.yaml, resnet10]\n{rest}")))
    assert [row[1] for row in cells(plan)][::2] == ["tiny: plain", "small: plain", "resnet10: plain"]
    alike = make_plan(read_comparison(write(f"backbones: [tiny.yaml, other/tiny.yaml]\n{rest}")))
    assert [row[1] for row in cells(alike)][::2] == ["tiny.yaml: plain", "other/tiny.yaml: plain"]
