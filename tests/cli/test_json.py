"""Every verb that prints a table prints it as one JSON document with `--json`, and nothing else on stdout."""

from __future__ import annotations

import inspect
import json
from importlib import import_module

import pytest
from PIL import Image

from composer.cli import screen
from composer.cli.app import VERBS
from composer.cli.as_json import with_json

COMPARED = "base: resnet10\nvariants:\n  se: {use: se, after: branch}\n  out: {use: se, after: nowhere}\n"
QUICK = {
    "build": ["build", "SMALL"],
    "validate": ["validate", "SMALL"],
    "validate quickly": ["validate", "--quick", "SMALL", "timm:resnet18"],
    "run": ["run", "SMALL", "--image", "PHOTO"],
    "list": ["list"],
    "list papers": ["list", "papers", "--architecture", "ResNet-152"],
    "show": ["show", "cbam"],
    "show a network": ["show", "resnet10"],
    "show a site": ["show", "branch"],
    "show errors": ["show", "errors"],
    "sites": ["sites", "resnet10"],
    "summary": ["summary", "SMALL"],
    "diff": ["diff", "SMALL", "resnet10"],
    "bench": ["bench", "SMALL", "--runs", "2", "--no-memory"],
    "compare": ["compare", "COMPARED"],
    "scan": ["scan", "resnet10", "--use", "eca"],
    "plan": ["plan", "resnet10", "--gpus", "16", "--batch", "64"],
    "export": ["export", "SMALL", "--to", "safetensors", "-o", "FOLDER/out.safetensors"],
    "version": ["--version"],
    "version and more": ["--version", "-v"],
}
SLOW = {
    "look": ["look", "SMALL", "--image", "PHOTO", "-o", "FOLDER/looked"],
    "check": ["check", "se"],
}
# They need a trained network, and write what they print like `compare` and `run`.
TRAINED = {"test", "search"}


def _has_json(verb: str) -> bool:
    command = import_module(f"composer.cli.{verb.replace('import', 'import_')}").command
    return "as_json" in inspect.signature(with_json(command)).parameters


def test_the_verbs_below_are_those_that_have_it() -> None:
    walked = {words[0] for words in (*QUICK.values(), *SLOW.values()) if not words[0].startswith("-")}
    assert {verb for verb in VERBS if _has_json(verb)} == walked | TRAINED


@pytest.fixture
def words(small, tmp_path):
    photo, compared = tmp_path / "photograph.png", tmp_path / "compared.yaml"
    Image.new("RGB", (40, 40), (200, 30, 90)).save(photo)
    compared.write_text(COMPARED)
    known = {"SMALL": str(small), "PHOTO": str(photo), "COMPARED": str(compared)}

    def found(given: list[str]) -> list[str]:
        return [known.get(one, one.replace("FOLDER", str(tmp_path))) for one in given]

    return found


def _strict(text: str) -> object:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)], ids=lambda case: case
)
def test_stdout_is_one_document(case: str, run, words) -> None:
    result = run(*words({**QUICK, **SLOW}[case]), "--json")
    assert result.code == 0, result.err
    assert _strict(result.out)


def test_the_numbers_are_the_table_s_and_whole(run, words) -> None:
    found = run(*words(QUICK["compare"]), "--json").json["rows"]
    assert [row["variant"] for row in found] == ["plain", "se", "out"]
    assert f"{found[0]['parameters']:,}" in run(*words(QUICK["compare"])).out
    assert run(*words(QUICK["summary"]), "--json").out == run(*words(QUICK["summary"]), "--format", "json").out


def test_errors_are_documents_too(run, tmp_path) -> None:
    for given in (["build", "nope"], ["--version", "--debug", "-v", "--format", "csv"], ["list", "--plugin", "no.py"]):
        result = run(*given, "--json")
        assert result.code != 0
        if result.code == 1:
            assert _strict(result.out)["ok"] is False


def test_two_formats_are_refused(run) -> None:
    result = run("list", "--json", "--format", "csv")
    assert (result.code, result.out) == (2, "")
    assert "one format, not two: `--format csv`" in result.err
    assert run("list", "mechanisms", "--json", "--format", "json").code == 0
    assert "behind the verb" in run("--json", "list").err


def test_what_is_no_number_is_null(capsys) -> None:
    screen.print_json({"a": [float("nan"), (float("inf"), 1.5)], "b": 2})
    assert _strict(capsys.readouterr().out) == {"a": [None, [None, 1.5]], "b": 2}
