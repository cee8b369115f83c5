"""The article's results as specs: each row is one file, says what the article says, and has the paper's parameters."""

from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch

import composer
import composer.costs
from composer.errors import InputError
from composer.spec.catalogue import experiments

ROOT = Path(__file__).parent.parent
ARTICLE = ROOT.parent / "shared" / "data" / "article_tables.csv"
TABLE = ROOT / "examples" / "papers.md"
# Rows of each of the article's tables, and the sum of their top-1 accuracies.
TABLES = {
    "2.1": (12, 923.58),
    "3.1": (4, 307.20),
    "3.3": (12, 914.04),
    "4.1": (2, 154.06),
    "4.2": (15, 1141.57),
    "5.1": (16, 1205.46),
    "6.1": (5, 386.19),
    "6.2": (8, 620.45),
    "6.3": (14, 1055.99),
    "7.1": (9, 685.58),
    "8.1": (5, 402.30),
    "8.2": (6, 502.50),
    "9.1": (10, 754.70),
    "10.1": (8, 559.20),
    "10.2": (4, 288.10),
}
# What the rules of a mechanism's rows use; rows of other mechanisms are backbones as they are.
USES = {
    "SE": "se",
    "SE-Var-1": "se_var1",
    "SE-Var-2": "se_var2",
    "SE-Var-3": "se_var3",
    "ECA": "eca",
    "CBAM": "cbam",
    "CBAM channel": "cbam_channel",
    "BAM": "bam",
    "GE-theta-minus": "ge_minus",
    "GE-theta": "ge",
    "GE-theta-plus": "ge_plus",
    "SK": "sk",
    "CondConv": "condconv",
    "Dynamic convolution": "dynconv",
}
# Millions of parameters as the papers print them; those of ECA-Net are millions of 2**20.
PRINTED = {
    "se/mobilenetv1_100_plain": "4.2",
    "se/mobilenetv1_100": "4.7",
    "eca/resnet50_plain": "24.37 * 2**20",
    "eca/resnet50_se_table_3_3": "26.77 * 2**20",
    "eca/resnet50": "24.37 * 2**20",
    "eca/resnet101_plain": "42.49 * 2**20",
    "eca/resnet101_se": "47.01 * 2**20",
    "eca/resnet101": "42.49 * 2**20",
    "eca/resnet152_plain": "57.40 * 2**20",
    "eca/resnet152_se": "63.68 * 2**20",
    "eca/resnet152": "57.40 * 2**20",
    "eca/mobilenetv2_100_plain": "3.34 * 2**20",
    "eca/mobilenetv2_100_se": "3.40 * 2**20",
    "eca/mobilenetv2_100": "3.34 * 2**20",
    "cbam/resnet50_cbam_channel": "28.09",
    "cbam/resnet50_plain": "25.56",
    "cbam/resnet50_se_table_4_2": "28.09",
    "cbam/resnet50": "28.09",
    "cbam/resnet101_plain": "44.55",
    "cbam/resnet101_se": "49.33",
    "cbam/resnet101": "49.33",
    "cbam/resnext50_32x4d_plain": "25.03",
    "cbam/resnext50_32x4d_se": "27.56",
    "cbam/resnext50_32x4d": "27.56",
    "cbam/resnext101_32x4d_plain": "44.18",
    "cbam/resnext101_32x4d_se": "48.96",
    "cbam/resnext101_32x4d": "48.96",
    "cbam/mobilenetv1_100_plain": "4.23",
    "cbam/mobilenetv1_100_se": "5.07",
    "cbam/mobilenetv1_100": "5.07",
    "bam/resnet50": "25.92",
    "bam/resnet101": "44.91",
    "bam/resnext50_32x4d": "25.39",
    "bam/mobilenetv1_100": "4.32",
    "ge/resnet50_plain_table_6_3": "25.6",
    "ge/resnet50_se": "28.1",
    "ge/resnet50_ge_minus_global_table_6_3": "25.6",
    "sk/resnext50_32x4d_plain": "25.0",
    "sk/resnext50_32x4d": "27.5",
    "resnest/resnest50d_0s1x64d": "25.6",
    "resnest/resnest50d_2s1x64d": "27.5",
    "resnest/resnest50d_4s1x64d": "31.9",
    "resnest/resnest50d_2s2x40d": "26.9",
    "resnest/resnest101e": "48",
    "resnest/resnest200e": "70",
    "resnest/resnest269e": "111",
    "resnest/efficientnet_b4": "19",
    "resnest/efficientnet_b5": "30",
    "resnest/efficientnet_b7": "66",
    "condconv/efficientnet_b0_plain": "5.3",
    "dynconv/mobilenetv2_100_plain": "3.5",
}
# The same of papers that count the running statistics of batch norm too, as the files of Caffe and Gluon do.
PRINTED_WITH_STATISTICS = {
    "ge/resnet50_ge_global_table_6_2": "31.2",
    "ge/resnet50_ge_plus_global": "33.7",
    "ge/resnet101_se": "49.4",
    "ge/resnet101_ge_global": "53.7",
    "sk/resnext101_32x4d_plain": "44.3",
    "sk/resnext101_32x4d": "48.9",
    "resnest/resnest50d_1s1x64d": "26.3",
}
# Printed, ours, and why they differ.
DEVIATING = {
    "sk/resnext50_32x4d_se": ("27.7", "27.6", "unknown; CBAM's authors print 27.56 for this network"),
    "sk/resnext101_32x4d_se": ("49.2", "49.0", "unknown; CBAM's authors print 48.96 for this network"),
    "condconv/efficientnet_b0": ("24.0", "24.1", "a router for each convolution, theirs for each block"),
    "dynconv/mobilenetv2_100_condconv": ("27.5", "14.0", "theirs has experts in the classifier and in more layers"),
    "dynconv/mobilenetv2_050_condconv": ("15.5", "4.7", "theirs has experts in the classifier and in more layers"),
    "dynconv/mobilenetv2_100_table_10_1": ("11.1", "12.4", "without the last 1x1 convolution it would be 11.1"),
    "dynconv/mobilenetv2_050": ("4.0", "4.6", "without the last 1x1 convolution it would be 3.9"),
    "dynconv/resnet18_plain": ("11.1", "11.7", "unknown; without the classifier it would be 11.2"),
    "dynconv/resnet18": ("42.7", "45.5", "unknown; without the classifier it would be 45.0"),
}
FOUND = experiments()
ROWS = [one for one in FOUND if one.published]


@pytest.fixture(scope="module")
def costs() -> dict[str, composer.costs.Cost]:
    """Every paper's network composed, which is what most of these tests take their time for."""
    return composer.costs.costs(one.name for one in FOUND)


def test_the_tables_have_all_their_rows():
    assert Counter(one.published.table for one in ROWS) == {table: count for table, (count, _) in TABLES.items()}
    for table, (_, total) in TABLES.items():
        assert sum(one.published.top1 for one in ROWS if one.published.table == table) == pytest.approx(total)
    assert sum(one.published.images_per_second or 0 for one in ROWS) == pytest.approx(3495.2)


@pytest.mark.skipif(not ARTICLE.exists(), reason="the article's tables are not here")
def test_every_row_of_the_article_is_one_file():
    with ARTICLE.open(newline="") as stream:
        written = [
            (table, architecture, mechanism, float(top1), float(speed) if speed else None, note or None)
            for table, architecture, mechanism, top1, speed, note in list(csv.reader(stream))[1:]
        ]
    assert len(written) == 130
    assert Counter(tuple(one.published.model_dump().values()) for one in ROWS) == Counter(written)


@pytest.mark.parametrize("experiment", ROWS, ids=lambda one: one.name)
def test_a_row_uses_what_it_says_where_it_says(experiment):
    row, spec = experiment.published, composer.load(experiment.name)
    mechanism, _, extent = row.mechanism.partition(" extent=")
    assert {rule.use for rule, _ in spec.rules} == ({USES[mechanism]} if mechanism in USES else set())
    assert all(rule.expect is not None for rule, _ in spec.rules)
    if extent:
        assert all(rule.options["extent"] == (0 if extent == "global" else int(extent)) for rule, _ in spec.rules)
    assert experiment.name in composer.list_papers(table=row.table, architecture=row.architecture)
    assert composer.list_papers(table=row.table, architecture=row.architecture, mechanism=row.mechanism) == [
        experiment.name
    ]


@cache
def row_of(experiment):
    """Folder, backbone and mechanism of a row: what its file's name is made of."""
    backbone = composer.load(experiment.name).files[-2].path.stem
    return experiment.name.split("/")[1], backbone, experiment.published.mechanism


def test_a_files_name_says_its_row():
    """The backbone, the mechanism unless it is the paper's own, and the table where two of the paper's have the row."""
    counts = Counter(map(row_of, ROWS))
    for one in ROWS:
        paper, backbone, mechanism = row_of(one)
        used, _, extent = mechanism.partition(" extent=")
        name = f"papers/{paper}/{backbone}"
        if USES.get(used) != paper or paper == "ge":
            name += "" if paper == "resnest" else f"_{USES.get(used, used)}"
        if extent:
            name += "_global" if extent == "global" else f"_extent{extent}"
        if counts[row_of(one)] > 1:
            name += f"_table_{one.published.table.replace('.', '_')}"
        assert one.name == name


def test_each_composes(costs):
    assert len(costs) == len(FOUND)
    assert all(cost.parameters > 0 and cost.macs > 0 for cost in costs.values())


@pytest.mark.parametrize(("name", "printed"), PRINTED.items())
def test_parameters_are_those_that_the_paper_prints(costs, name, printed):
    number, _, unit = printed.partition(" * ")
    places = len(number.partition(".")[2])
    found = costs[f"papers/{name}"].parameters / (2**20 if unit else 1e6)
    assert f"{found:.{places}f}" == number


@pytest.mark.parametrize(("name", "printed"), PRINTED_WITH_STATISTICS.items())
def test_parameters_and_statistics_are_those_that_the_paper_prints(name, printed):
    graph = composer.graph(f"papers/{name}")
    found = graph.num_parameters + sum(statistics(node.content) for node, _ in graph.operations)
    assert f"{found / 1e6:.1f}" == printed != f"{graph.num_parameters / 1e6:.1f}"


def statistics(operation):
    """Running means and variances in an operation."""
    if operation.entry.form != "module":
        return 0
    with torch.device("meta"):
        buffers = dict(operation.entry.factory(**operation.arguments).named_buffers())
    return sum(buffer.numel() for name, buffer in buffers.items() if "running" in name)


@pytest.mark.parametrize("name", DEVIATING)
def test_where_parameters_deviate_we_know_by_how_much(costs, name):
    printed, ours, _ = DEVIATING[name]
    found = f"{costs[f'papers/{name}'].parameters / 1e6:.1f}"
    assert found == ours != printed


def test_the_table_of_the_examples(run, costs, monkeypatch, pytestconfig):
    monkeypatch.setattr(composer.costs, "costs", lambda names: {name: costs[name] for name in names})
    text = run("list", "papers", "--format", "md").out
    if pytestconfig.getoption("renew"):
        TABLE.write_text(text, encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == text
    assert text.count("\n") == len(FOUND) + 2


def test_filters():
    assert composer.list_papers(table="3.3", architecture="resnet-50", mechanism="eca") == ["papers/eca/resnet50"]
    assert len(composer.list_papers(mechanism="GE-*")) == 20
    assert composer.list_papers("papers/mhsa/*") == ["papers/mhsa/resnet50"]
    assert composer.list_papers("papers/se/*", table="3.3") == []
    with pytest.raises(InputError, match=r"no row has the table `3.4`") as caught:
        composer.list_papers(table="3.4", architecture="ResNet50")
    assert [problem.path for problem in caught.value.diagnostics] == ["architecture", "table"]
    assert "`ResNet-50`" in str(caught.value)


def test_of_one_network_the_cost_is_found_once(monkeypatch):
    composed = []
    monkeypatch.setattr(
        composer.costs,
        "compose",
        lambda spec, inference: composed.append(spec.name) or composer.graph(spec),
    )
    found = composer.costs.costs(["papers/bam/resnet50_cbam", "papers/cbam/resnet50", "papers/se/resnet50"])
    assert composed == ["cbam_resnet50", "se_resnet50"]
    assert found["papers/bam/resnet50_cbam"] == found["papers/cbam/resnet50"] != found["papers/se/resnet50"]
    assert found["papers/se/resnet50"].parameters == 28_088_024
