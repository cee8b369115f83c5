"""Published results as specs: each row is one file, says what its table says, and has the figures that it prints.

The article's rows come first; the others are of mechanisms that the article does not have, from their authors' READMEs.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch

import composer
import composer.costs
from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.errors import InputError
from composer.registry import ModuleEntry
from composer.spec.catalogue import experiments
from tests import counters

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
# How many figures of parameters and of MACs the papers of each table print.
FIGURES = {
    "2.1": (2, 12),
    "3.3": (12, 12),
    "4.1": (2, 2),
    "4.2": (15, 15),
    "5.1": (8, 8),
    "6.3": (7, 5),
    "7.1": (6, 6),
    "8.1": (5, 4),
    "8.2": (6, 0),
    "9.1": (2, 10),
    "10.1": (8, 8),
    "10.2": (4, 4),
}
UNITS = {"M": 1e6, "G": 1e9, "Mi": 2**20, "Gi": 2**30}
# Rows of these papers have the stride of a stage on the first 1x1 convolution, whatever else differs.
STRIDE_IN_1X1 = {
    "papers/se": ["resnet50", "resnet101", "resnet152"],
    "papers/ge": ["resnet50", "resnet101"],
    "papers/cbam": ["resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x4d"],
    "papers/bam": ["resnet50", "resnet101", "resnext50_32x4d"],
}
FOUND = experiments()
ROWS = [one for one in FOUND if one.published and one.published.table in TABLES]
# Rows of each other table, and the sum of their top-1 accuracies.
OTHER_TABLES = {
    "README of ACmix": (3, 231.3),
    "README of BiFormer": (3, 249.5),
    "README of CaiT": (1, 83.5),
    "README of CoTNet": (2, 164.1),
    "README of CoordAttention": (4, 295.8),
    "README of EMA": (1, 74.32),
    "README of EPSANet": (2, 155.92),
    "README of FcaNet": (4, 313.31),
    "README of FocalNet": (6, 498.9),
    "README of MobileNeXt": (5, 354.52),
    "README of ODConv": (18, 1325.69),
    "README of PVT": (7, 563.8),
    "README of SA-Net": (2, 156.83),
    "README of SGE": (8, 622.598),
    "README of SRM": (6, 463.77),
    "README of SimAM": (6, 452.26),
    "README of Swin": (3, 247.9),
    "README of VAN": (4, 323.2),
    "README of XCiT": (3, 229.0),
    "README of involution": (5, 389.83),
    "README of triplet attention": (6, 439.63),
    "results of timm": (3, 241.95),
}
OTHER_USES = {
    "ACmix": "acmix",
    "CA": "coord",
    "CBAM": "cbam",
    "CoT": "cot",
    "EMA": "ema",
    "EPSA Small": "epsa",
    "FcaNet-TS": "fca",
    "ODConv 1x": "odconv",
    "ODConv 2x": "odconv",
    "ODConv 4x": "odconv",
    "SA": "shuffle",
    "SE": "se",
    "SGE": "sge",
    "SRM": "srm",
    "SimAM": "simam",
    "Triplet k=3": "triplet",
    "Triplet k=7": "triplet",
}
# Tables of accuracies alone.
ACCURACIES = {"README of FcaNet"}
# Mechanisms that a backbone has without a rule.
WITHIN = {
    "LKA",
    "XCA",
    "bi-level routing",
    "class attention",
    "focal modulation",
    "halo",
    "involution",
    "lambda",
    "spatial reduction",
    "window",
}
OTHERS = [one for one in FOUND if one.published and one.published.table not in TABLES]


def name(experiment):
    return experiment.name


# Operations that rows share are inferred once.
INFERENCE = Inference()


@cache
def cost(name: str) -> composer.costs.Cost:
    """What a paper's network costs; composing them all takes most of the time of these tests."""
    return composer.costs.cost(composer.load(name), INFERENCE)


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
    assert Counter(tuple(one.published.model_dump().values())[:6] for one in ROWS) == Counter(written)


@pytest.mark.parametrize("experiment", ROWS, ids=name)
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


def test_the_other_tables_have_all_their_rows():
    assert Counter(one.published.table for one in OTHERS) == {name: count for name, (count, _) in OTHER_TABLES.items()}
    for table, (_, total) in OTHER_TABLES.items():
        assert sum(one.published.top1 for one in OTHERS if one.published.table == table) == pytest.approx(total)


@pytest.mark.parametrize("experiment", OTHERS, ids=name)
def test_another_row_uses_what_it_says(experiment):
    row, spec = experiment.published, composer.load(experiment.name)
    mechanism = OTHER_USES.get(row.mechanism)
    assert {rule.use for rule, _ in spec.rules} == ({mechanism} if mechanism else set())
    assert mechanism or row.mechanism in {"plain", *WITHIN}
    assert bool(row.parameters) == (row.table not in ACCURACIES), "the table prints them"
    kernel = row.mechanism.partition("k=")[2]
    experts = row.mechanism.removeprefix("ODConv ").removesuffix("x")
    if mechanism == "triplet":
        assert all(rule.options["kernel_size"] == int(kernel) for rule, _ in spec.rules)
    if mechanism == "odconv":
        assert all(rule.options["num_experts"] == int(experts) for rule, _ in spec.rules)


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


def as_printed(number, printed):
    """The number in the unit and to the places of the printed one."""
    figure, unit = printed.split()
    return f"{number / UNITS[unit]:.{len(figure.partition('.')[2])}f} {unit}"


def test_figures_of_every_table():
    found = {}
    for one in ROWS:
        row = one.published
        parameters, macs = found.get(row.table, (0, 0))
        found[row.table] = (parameters + (row.parameters is not None), macs + (row.macs is not None))
    assert {table: counts for table, counts in found.items() if any(counts)} == FIGURES


@pytest.mark.parametrize(
    "experiment", [one for one in ROWS + OTHERS if one.published.macs or one.published.parameters], ids=name
)
def test_figures_are_those_that_the_paper_prints_or_the_row_says_why_not(experiment):
    row, known = experiment.published, cost(experiment.name)
    macs = counters.macs(composer.load(experiment.name), row.counter) if row.counter else known.macs
    figures = {row.parameters: known.parameters, row.macs: macs}
    ours = {printed: as_printed(number, printed) for printed, number in figures.items() if printed}
    others = [found for printed, found in ours.items() if found != printed]
    assert bool(others) == bool(row.deviates)
    assert all(found in row.deviates for found in others)


def test_figures_with_the_running_statistics_of_batch_norm():
    """As files of Caffe and Gluon hold them, some papers count them."""
    counted = [one for one in ROWS if "running statistics" in (one.published.deviates or "")]
    assert len(counted) == 7
    for one in counted:
        graph = composer.graph(one.name)
        found = graph.num_parameters + sum(statistics(node.content) for node, _ in graph.operations)
        assert as_printed(found, one.published.parameters) == one.published.parameters


def test_figures_with_the_poolings_of_gates():
    """What SE's authors print of MobileNet: each element that is pooled counts as one."""
    name = "papers/se/mobilenetv1_100"
    graph = composer.graph(name)
    gates = [node.tensor for node, _ in graph.operations if node.content.entry.name == "se"]
    pooled = sum(math.prod(tensor.without_batch) for tensor in gates)
    assert len(gates) == 13
    assert as_printed(graph.num_macs + pooled, "572 M") == "572 M" == composer.load(name).published.macs


@pytest.mark.parametrize(("paper", "backbones"), STRIDE_IN_1X1.items())
def test_strides_are_where_the_printed_figures_have_them(paper, backbones):
    ours = [one.name for one in ROWS if one.name.startswith(paper) and row_of(one)[1].startswith("resne")]
    strided = {name for name in ours if composer.load(name).vars["stride_in_1x1"]}
    assert strided == {name for name in ours if composer.load(name).files[-2].path.stem in backbones}
    assert all(not composer.load(name, vars={"stride_in_1x1": False}).vars["stride_in_1x1"] for name in ours)


def test_weights_of_either_stride_fit():
    """What torchvision's weights want of CBAM-ResNet-50: the same keys and sizes, larger maps."""
    theirs, ours = (composer.graph("papers/cbam/resnet50", vars={"stride_in_1x1": one}) for one in (False, True))
    assert theirs.num_parameters == ours.num_parameters == 28_089_608
    assert (theirs.num_macs, ours.num_macs) == (4_095_573_110, 3_864_362_102)


def statistics(operation):
    """Running means and variances in an operation."""
    if not isinstance(operation.entry, ModuleEntry):
        return 0
    with torch.device("meta"):
        buffers = dict(operation.entry.factory(**operation.arguments).named_buffers())
    return sum(buffer.numel() for name, buffer in buffers.items() if "running" in name)


def test_the_table_of_the_examples(run, monkeypatch, pytestconfig):
    """Every row composes, and the table has what it costs."""
    monkeypatch.setattr(composer.costs, "costs", lambda names: {name: cost(name) for name in names})
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
    of = Composition.of
    monkeypatch.setattr(Composition, "of", lambda spec, **facts: composed.append(spec.name) or of(spec, **facts))
    found = composer.costs.costs(["papers/bam/resnet50_cbam", "papers/cbam/resnet50", "papers/se/resnet50"])
    assert composed == ["cbam_resnet50", "se_resnet50"]
    assert found["papers/bam/resnet50_cbam"] == found["papers/cbam/resnet50"] != found["papers/se/resnet50"]
    assert found["papers/se/resnet50"].parameters == 28_088_024
