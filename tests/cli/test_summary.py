"""`composer summary`: plain in a pipe, drawn on a terminal, and a format for every reader."""

from __future__ import annotations

import csv
import io

import pytest


def test_a_pipe_gets_plain_text(run, small):
    result = run("summary", small)
    assert result.code == 0
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[0] == "small: N×3×32×32 -> output N×4"
    assert lines[2].split() == ["node", "operation", "×", "output", "parameters", "MACs", "memory", "source"]
    assert lines[6].split() == ["|-", "+", "se", "se", "N×8×16×16", "42", "32", "72", "B", f"{small}:11"]
    assert set("\x1b├└│…").isdisjoint(result.out)
    assert all(line == line.rstrip() for line in lines)


def test_what_a_page_does_not_hold_is_said(run):
    result = run("summary", "papers/se/resnet50")
    assert "rows below depth 2 of 4 are left out; all of them: --depth 4" in result.err
    assert run("summary", "papers/se/resnet50", "--depth", 1).err == ""
    assert run("summary", "papers/se/resnet50", "--quiet").err == ""
    assert "layer1.0.downsample.1" in run("summary", "papers/se/resnet50", "--format", "csv").out


def test_a_terminal_gets_colour_and_only_columns_that_fit(run, small, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    wide = run("summary", small)
    assert "\x1b[" in wide.out
    assert "├─" in wide.out
    assert f"{small}:" in wide.out
    monkeypatch.setenv("COLUMNS", "60")
    narrow = run("summary", small)
    assert "3 columns are left out, memory, source, memory by attention:" in narrow.err
    assert "MACs" in narrow.out
    assert f"{small}:" not in narrow.out
    chosen = run("summary", small, "--columns", "source,options,output")
    assert f"{small}:" in chosen.out


def test_formats(run, small):
    found = run("summary", small, "--format", "json").json
    assert [row["path"] for row in found["rows"]] == ["stem", "bn", "se", "pool", "fc"]
    assert found["rules"][0]["paths"] == ["se"]
    rows = list(csv.reader(io.StringIO(run("summary", small, "--format", "csv", "--columns", "macs,op").out)))
    assert rows[0] == ["node", "depth", "macs", "op"]
    assert rows[2] == ["stem", "1", str(8 * 27 * 256), "conv2d"]
    lines = run("summary", small, "--format", "md", "--sort", "parameters", "--columns", "parameters").out.splitlines()
    assert lines[:4] == ["| node | parameters |", "| --- | ---: |", "| `small` | 310 |", "| `stem` | 216 |"]


def test_options_of_a_spec(run, small):
    assert run("summary", small, "--set", "vars.width=16", "--format", "json").json["rows"][0]["parameters"] == 16 * 27


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--columns", "op,maks"], "unknown column `maks`; did you mean `macs`?"),
        (["--columns", ""], "unknown column ``"),
        (["--sort", "size"], "--sort"),
        (["--format", "html"], "--format"),
        (["--depth", "-1"], "--depth"),
    ],
)
def test_wrong_usage_names_what_there_is(run, small, words, said):
    result = run("summary", small, *words)
    assert result.code == 2
    assert said in " ".join(result.err.split())
    assert result.out == ""


def test_a_spec_with_a_mistake(run, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("backbone: resnet18\nattention:\n  - {use: cbma, after: branch}\n")
    result = run("summary", path)
    assert result.code == 1
    assert "did you mean `cbam`" in result.err
    found = run("summary", path, "--format", "json")
    assert found.code == 1
    assert found.json["errors"][0]["line"] == 3
    assert run("summary", path, "--format", "csv").out == ""


def test_time_is_measured_only_for_those_who_ask(run, small):
    assert "time" not in run("summary", small).out.splitlines()[2].split()
    assert run("summary", small, "--format", "json").json["time"] is None
    for asking in (["--time", 1], ["--columns", "op,time"], ["--sort", "time"]):
        result = run("summary", small, *asking, "--device", "cpu")
        assert "of `small` on cpu, one image" in result.err
        assert any(line.startswith("time  ") for line in result.out.splitlines())
    lines = run("summary", small, "--time", 1).out.splitlines()
    assert lines[2].split() == ["node", "operation", "×", "output", "parameters", "MACs", "memory", "time", "source"]


def test_measured_time_adds_up_in_every_format(run, small):
    found = run("summary", small, "--time", 2, "--format", "json").json
    assert found["time"] == pytest.approx(sum(row["time"] for row in found["rows"]))
    text = run("summary", small, "--time", 2, "--format", "csv", "--columns", "time").out
    whole, *rows = [float(row["time"]) for row in csv.DictReader(io.StringIO(text))]
    assert whole == pytest.approx(sum(rows))
    assert min(rows) > 0
    lines = run("summary", small, "--time", 2, "--format", "md", "--columns", "time").out.splitlines()
    assert lines[:2] == ["| node | time |", "| --- | ---: |"]


def test_time_on_a_device_that_is_not_there(run, small):
    result = run("summary", small, "--time", 1, "--device", "tpu")
    assert result.code == 3
    assert "unknown device `tpu`" in result.err
    assert run("summary", small, "--time", 0).code == 2
