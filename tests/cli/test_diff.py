"""`composer diff`: text, JSON and exit codes."""

from __future__ import annotations

import pytest


@pytest.fixture
def wider(small):
    path = small.parent / "wider.yaml"
    path.write_text(small.read_text().replace("width: 8", "width: 16").replace("name: small", "name: '[b]wider'"))
    return path


def test_text(run, small, wider):
    result = run("diff", small, wider)
    assert result.code == 0
    assert result.out.startswith("small -> [b]wider\n")
    assert "out_channels 8 -> 16; output N×8×16×16 -> N×16×16×16" in result.out
    assert "\x1b" not in result.out
    assert all(line == line.rstrip() for line in result.out.splitlines())


def test_a_terminal_gets_colour_and_every_bracket(run, small, wider, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = run("diff", small, wider).out
    assert "\x1b[33m~\x1b[0m" in out
    assert "[b]wider" in out


def test_no_difference_is_no_data(run, small):
    result = run("diff", small, small, "--exit-code")
    assert (result.code, result.out, result.err) == (0, "", "no difference\n")
    assert run("diff", small, small, "--quiet").err == ""
    assert run("diff", small, small, "--format", "json").json["changes"] == []


def test_exit_code_and_json(run, small, wider):
    result = run("diff", small, wider, "--exit-code", "--format", "json")
    assert result.code == 1
    assert result.json["equal"] is False
    assert [change["after"] for change in result.json["changes"]] == ["stem", "bn", "se", "pool", "fc"]
    assert result.json["before"]["name"] == "small"


def test_settings_change_both(run, small, wider):
    assert run("diff", small, wider, "--set", "vars.width=4", "--exit-code").code == 0


def test_a_mistake_in_either_is_an_error(run, small):
    bad = small.parent / "bad.yaml"
    bad.write_text("backbone: resnet18\nattention:\n  - {use: cbma, after: branch}\n")
    for words in ([small, bad], [bad, small]):
        result = run("diff", *words)
        assert result.code == 1
        assert "did you mean `cbam`" in result.err
        assert result.out == ""
    assert run("diff", small).code == 2


@pytest.mark.parametrize(
    ("ending", "start"), [(".html", "<!doctype html>"), (".json", "{"), (".txt", "small -> [b]wider")]
)
def test_the_ending_of_a_file_is_the_format(run, small, wider, tmp_path, ending, start):
    target = tmp_path / "out" / f"change{ending}"
    result = run("diff", small, wider, "-o", target, "--exit-code")
    assert (result.code, result.out, result.err) == (1, "", f"wrote {target}\n")
    assert target.read_text(encoding="utf-8").startswith(start)
    assert run("diff", small, wider, "-o", target).code == 1
    assert run("diff", small, wider, "-o", target, "--force", "-q").err == ""


def test_a_page_on_stdout(run, small, wider):
    out = run("diff", small, wider, "--format", "html").out
    assert out.startswith("<!doctype html>")
    assert "<title>small → [b]wider</title>" in out


def test_an_unknown_ending_names_the_known_ones(run, small, wider, tmp_path):
    result = run("diff", small, wider, "-o", tmp_path / "x.svg")
    assert result.code == 1
    assert "`.txt`, `.json`, `.html`, `.htm`" in result.err
    assert run("diff", small, wider, "--format", "svg").code == 2
