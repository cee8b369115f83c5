"""Mistakes in model files are told all at once, each with its row, its place and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import composer
from composer.importing.sources import import_source

HERE = Path(__file__).parent
ROW = "[-1, 1, Conv, [64, 3, 2]]"


@pytest.fixture
def problems(tmp_path):
    """The mistakes of a model file, as (line, code, message, expected, help)."""

    def found(text, name="yolo9n.yaml", **options):
        (tmp_path / name).write_text(text)
        with pytest.raises(composer.SpecError) as caught:
            import_source(str(tmp_path / name), **options)
        assert str(caught.value).count("\n  --> ") + str(caught.value).count("\n --> ") == len(caught.value.diagnostics)
        return [(one.location.line, one.code, one.message, one.label, one.help) for one in caught.value.diagnostics]

    return found


def model(*rows, head=()):
    lines = ["backbone:", *(f"  - {row}" for row in rows), "head:", *(f"  - {row}" for row in head)]
    return "\n".join(lines) + ("" if head else " []")


@pytest.mark.parametrize(
    ("row", "message", "expected"),
    [
        ("[-1, 1, Conv]", "row 1 is a list of 3", "[from, repeats, module, args]"),
        ("Conv", "row 1 is the string 'Conv'", "[from, repeats, module, args]"),
        ("[[], 1, Concat, [1]]", "`from` of row 1 is a list", "the number of a row before this one"),
        ("[x, 1, Conv, [64]]", "`from` of row 1 is the string 'x'", "the number of a row before this one"),
        ("[-1, 0, Conv, [64]]", "`repeats` of row 1 is the number 0", "a whole number from 1 on"),
        ("[-1, 1, 3, [64]]", "`module` of row 1 is the number 3", "the name of a module, such as `Conv`"),
        ("[-1, 1, Conv, 64]", "`args` of row 1 is the number 64", "a list, `[64, 3, 2]`"),
        ("[1, 1, Conv, [64]]", "row 1 reads itself", "-1, or a row from 0 to 0"),
        ("[2, 1, Conv, [64]]", "row 1 reads row 2, which comes later", "-1, or a row from 0 to 0"),
        ("[7, 1, Conv, [64]]", "row 1 reads row 7, and there is none", "-1, or a row from 0 to 0"),
        ("[-3, 1, Conv, [64]]", "row 1 reads the row 3 before it, which does not exist", "-1, or a row from 0 to 0"),
        ("[[-1, 0], 1, Conv, [64]]", "`Conv` of row 1 takes one map, and reads a list of rows", "the number of a row"),
        ("[-1, 1, Concat, [1]]", "`Concat` of row 1 reads one row", "a list, `[-1, 6]`"),
        ("[[-1, 0], 1, Concat, [2]]", "`Concat` of row 1 is along another axis than the channels", "[1]"),
        ("[[-1, 0], 2, Concat, [1]]", "`Concat` of row 1 is repeated 2 times", "1"),
        ("[-1, 2, Conv, [32]]", "row 1 repeats `Conv` 2 times, from 64 to 32 channels", "as many channels out as in"),
        ("[-1, 1, Conv, []]", "`Conv` of row 1 has 0 arguments, and takes 1 to 7", "[out, (kernel), (stride)"),
        ("[-1, 1, nn.Identity, [3]]", "`nn.Identity` of row 1 has 1 argument, and takes 0", "[]"),
        ("[-1, 1, C2f, [64, 3]]", "`shortcut` of `C2f` in row 1 is the number 3", "True or False"),
        ("[-1, 1, Conv, [64, x]]", "`kernel` of `Conv` in row 1 is the string 'x'", "a whole number from 1 on"),
        ("[-1, 1, SPP, [64, [5, 9]]]", "`kernels` of `SPP` in row 1 is a list", "three odd numbers, [5, 9, 13]"),
        ("[-1, 1, nn.Upsample, [None, 2, area]]", "`mode` of `nn.Upsample` in row 1 is the string 'area'", "`nearest`"),
        ("[-1, 1, C2PSA, [32]]", "row 1: `C2PSA` keeps the number of channels, and has 64 in and 32 out", ""),
        ("[-1, 1, A2C2f, [32]]", "row 1: `A2C2f` needs a multiple of 32 channels inside, and has 16", ""),
        ("[[0], 1, Detect, [nc]]", "the head `Detect` is row 1, and rows follow it", "the last row"),
    ],
)
def test_a_row(problems, row, message, expected):
    ((line, code, said, label, _),) = problems(model(ROW, row, ROW))
    assert (line, said) == (3, message)
    assert label.startswith(expected)
    assert code in ("import-row", "import-args")


def test_an_unknown_module_and_all_that_are_known(problems):
    first, second = problems(model(ROW, "[-1, 1, C2ff, [64]]", "[-1, 1, CBAM, [64]]"))
    assert first[:3] == (3, "import-module", "row 1 has the module `C2ff`, which an import does not know")
    assert first[4][0].startswith("did you mean `C2f`?  an import knows `Conv`, ")
    assert (second[0], second[4]) == (4, ())


@pytest.mark.parametrize(
    ("start", "line", "message", "expected"),
    [
        ("nc: 0", 1, "`nc` is the number 0", "a whole number from 1 on"),
        ("actvation: nn.ReLU()", 1, "a model file has no key `actvation`", ""),
        ("activation: __import__('os')", 1, "`activation` is the string \"__import__('os')\"", "a module of PyTorch"),
        ("activation: nn.ReLUU()", 1, "composer cannot import the activation `ReLUU`", "one of its layers"),
        ("scales: [1]", 1, "`scales` is a list", "a mapping of letters"),
        ("scales: {n: [1, 2]}", 1, "the scale `n` is a list", "`[depth, width, most channels]`"),
        ("scales: {n: [1, x, 3]}", 1, "the scale `n` is a list", "`[depth, width, most channels]`"),
        ("scales: {s: [1, 1, 1]}", 1, "the file has no scale `n`", "`s`"),
        ("width_multiple: -1", 1, "`width_multiple` is the number -1", "a number above 0"),
    ],
)
def test_what_stands_before_the_rows(problems, start, line, message, expected):
    ((at, _, said, label, _),) = problems(f"{start}\n{model(ROW)}")
    assert (at, said) == (line, message)
    assert label.startswith(expected)


def test_a_scale_must_be_told(problems):
    text = "scales: {n: [1, 1, 64], s: [1, 1, 64]}\n" + model(ROW)
    ((_, code, said, _, help),) = problems(text, "yolo9.yaml")
    assert (code, said) == ("import-scale", "the name of the file says no scale")
    assert help == ("choose with --scale, one of `n`, `s`",)
    ((_, _, said, _, help),) = problems(text, "yolo9.yaml", scale="q")
    assert said == "the file has no scale `q`"
    ((_, _, said, _, _),) = problems(model(ROW), "yolo9.yaml", scale="n")
    assert said == "the file has no `scales`, so there is none called `n`"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("backbone: resnet50\n", "import-file"),
        ("[1, 2]", "import-file"),
        ("backbone: []\nhead: []", "import-file"),
        ("backbone: []\nhead: [[-1, 1, Detect, [nc]]]", "import-file"),
        ("a: [b", "yaml-syntax"),
        ("", "yaml-empty"),
    ],
)
def test_another_file(tmp_path, text, code):
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(composer.SpecError) as caught:
        import_source(str(tmp_path / "other.yaml"))
    assert [one.code for one in caught.value.diagnostics] == [code]


def test_a_spec_of_ours_needs_no_import(problems):
    ((_, _, _, _, help),) = problems("backbone: resnet50\n")
    assert help == ("it looks like a spec of composer's, which needs no import: composer build takes it",)


def test_every_mistake_is_told_at_once(problems):
    rows = ["[-1, 1, Cnov, [64]]", "[5, 1, Conv, [64]]", "[-1, 1, C2f, []]", "hello"]
    found = problems("nc: 0\nscals: {}\n" + model(ROW, *rows))
    assert [line for line, *_ in found] == [1, 2, 5, 6, 7, 8]


def test_a_text_of_a_row_stays_in_its_comment(tmp_path):
    """Texts in a row may hold anything that Python reads as a number."""
    (tmp_path / "yolo9n.yaml").write_text(
        model('[-1, 1, Conv, ["64\\nevil: true", 3]]').replace("64\\nevil: true", "64\\n")
    )
    text = import_source(str(tmp_path / "yolo9n.yaml")).text
    assert re.search(r"# row 0: \[-1, 1, Conv, \[64., 3\]\]$", text, re.MULTILINE)


def test_no_text_of_a_file_is_evaluated(problems):
    ((_, _, said, _, _),) = problems(model("[-1, 1, Conv, [\"__import__('os').getpid()\"]]"))
    assert said.startswith("`out` of `Conv` in row 0 is the string")
