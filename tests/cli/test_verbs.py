"""The verbs that explain: validate, list, show, sites, schema, new; and that none of them needs more than it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap

import jsonschema
import pytest
import torch
import yaml

import composer
from composer import registry
from composer.cli.app import VERBS
from composer.codes import CODES
from composer.spec import zoo
from composer.spec.references import read_file
from tests.mechanisms.cases import SAMPLED


def test_validate_reports_every_file(run, small, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("backbone: resnet18\nattenton: []\n")
    result = run("validate", small, bad, "resnet18")
    assert result.code == 1
    assert result.out.splitlines() == [f"{small}: fine, 310 parameters", "resnet18: fine, 11,689,512 parameters"]
    assert "did you mean `attention`?" in result.err
    assert f"{bad}:2:1" in result.err
    found = run("validate", small, bad, "--format", "json")
    assert [one["ok"] for one in found.json] == [True, False]
    assert found.code == 1


def test_list(run):
    assert {"se", "cbam"} <= {row["name"] for row in run("list", "mechanisms", "--format", "json").json}
    assert run("list", "mechanisms", "cbam").out.split()[:3] == ["name", "group", "summary"]
    assert [row["name"] for row in run("list", "backbones", "resnet[15]?", "--format", "json").json] == [
        "resnet10",
        "resnet18",
        "resnet50",
    ]
    names = set(run("list", "--format", "json").json)
    assert names == {"mechanisms", "layers", "backbones", *zoo.ROOMS, "papers", "keys", "recipes"}
    assert [row["name"] for row in run("list", "video", "*/r3d*", "--format", "json").json] == ["video/r3d_18"]
    for room in zoo.ROOMS:
        assert [row["name"] for row in run("list", room, "--format", "json").json] == zoo.others(room)
    assert "torchvision_vit" in run("list", "keys", "torch*").out
    everything = run("list")
    assert all(line == line.rstrip() for line in everything.out.splitlines())
    assert run("list", "nonsense").code == 2
    assert run("list", "backbones", "--table", "3.3").code == 2
    assert run("list", "mechanisms", "--cost").code == 2


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["backbones", "resent18"], "did you mean `resnet18`?  `composer list backbones` shows all"),
        (["backbones", "resent18*"], "did you mean `resnet18`?"),
        (["mechanisms", "zzz"], "`composer list mechanisms` shows all"),
        (["mechanisms", "sqeeze-excitation", "--on", "resnet10"], "did you mean `squeeze-and-excitation`?"),
        (["mechanisms", "batch_nor"], "among layers there is `batch_norm`"),
        (["layers", "conv9d"], "did you mean `conv"),
        (["layers", "zzz*"], "`composer list layers` shows all"),
        (["papers", "cbam"], "`composer list papers '*cbam*'` finds `papers/cbam/"),
        (["keys", "torchvision_vot"], "did you mean `torchvision_vit`?"),
        (["all", "resent18"], "did you mean `resnet18`?  `composer list` shows all"),
    ],
)
def test_what_nothing_is_called_is_an_error_with_what_is_near(run, words, near):
    text = run("list", *words)
    assert (text.code, text.out) == (1, "")
    assert "nothing is called" in text.err
    assert near in text.err
    as_json = run("list", *words, "--json")
    assert (as_json.code, as_json.err) == (1, text.err)
    assert not any(as_json.json.values() if words[0] == "all" else as_json.json)
    as_csv = run("list", *words, "--format", "csv")
    assert (as_csv.code, as_csv.out, as_csv.err) == (1, "", text.err)


def test_formats_of_a_list(run):
    assert run("list", "mechanisms", "e[cs]*", "--format", "csv").out.startswith("name,group,from,summary,")
    lines = run("list", "backbones", "resnet18", "--format", "md").out.splitlines()
    assert lines == [
        "| name | parameters | macs |",
        "| --- | ---: | ---: |",
        "| resnet18 | 11.69 M | 1.81 G |",
    ]
    assert run("list", "backbones", "resnet18", "--format", "json", "--cost").json[0]["parameters"] == 11_689_512
    assert run("list", "papers", "--table", "3.4", "--format", "json").json["errors"][0]["code"] == "no-row"


@pytest.mark.parametrize("entry", composer.registry.entries(), ids=lambda entry: entry.name)
def test_show_explains_every_entry(run, entry):
    result = run("show", entry.name)
    assert result.code == 0
    assert entry.summary in result.out
    assert all(name in result.out for name in entry.options.model_fields)


def test_show_says_what_a_backbone_is_and_whose_its_first_weights_are(run):
    shown = run("show", "papers/cbam/resnet50").out
    assert shown.startswith("# CBAM-ResNet-50 (Woo et al.")
    assert "\n# ResNet (He et al. 2016, arXiv:1512.03385)" in shown
    assert "\n# Start: timm's: convolutions by He et al.'s law" in shown
    assert yaml.safe_load(shown)["name"] == "cbam_resnet50"
    about = json.loads(run("show", "papers/cbam/resnet50", "--format", "json").out)["about"]
    assert [text[:4] for text in about] == ["CBAM", "ResN"]


def test_every_backbone_says_how_it_starts():
    for name in zoo.backbones():
        about = "\n".join(file.origin.document.comment for file in composer.load(name).files)
        assert len(re.findall("^Start: ", about, re.MULTILINE)) == 1, name


def test_show_explains_a_site_and_a_code(run):
    assert "residual add" in run("show", "branch").out
    gated = run("show", "gate", "--format", "json").json["networks"]
    assert "se_resnet50" in gated or "efficientnet_b0" in gated
    assert "vgg16" not in gated
    assert ", ".join(gated[:2]) in run("show", "gate").out
    assert run("show", "errors", "no-match", "--format", "json").json == {"no-match": CODES["no-match"]}
    wrong = run("show", "errors", "no-mtch")
    assert wrong.code == 1
    assert "did you mean `no-match`?" in wrong.err
    assert run("show", "cbam", "no-match").code == 2


def test_show_errors_lists_every_code(run):
    assert run("show", "errors", "--format", "json").json == CODES
    lines = run("show", "errors").out.splitlines()
    assert len(lines) == len(CODES) + 1
    for code, meaning in CODES.items():
        assert any(line.split(None, 1) == [code, meaning] for line in lines)
    assert registry.get("errors") is None


def test_show_a_backbone_and_an_unknown_name(run):
    assert "depths: [3, 4, 6, 3]" in run("show", "resnet50").out
    assert "use: cbam" in run("show", "papers/cbam/resnet50").out
    result = run("show", "cbma")
    assert result.code == 1
    assert "did you mean `cbam`?" in result.err


def test_sites(run):
    found = run("sites", "resnet18", "--format", "json").json
    assert {name: len(rows) for name, rows in found.items()} == {
        "stem": 1,
        "stage": 4,
        "block": 8,
        "spatial_conv": 16,
        "branch": 8,
        "shortcut": 8,
        "head": 1,
    }
    said = run("sites", "resnet18").err
    assert "branch: the end of what a block computes" in said
    assert "mixer" not in said
    rows = run("sites", "resnet18", "layer[12].*.bn2", "--format", "json").json
    assert [row["path"] for row in rows] == [f"layer{a}.{b}.bn2" for a in (1, 2) for b in (0, 1)]
    assert "layer4.1.bn2" in run("sites", "resnet18", "branch").out
    nothing = run("sites", "resnet18", "spatial_con")
    assert nothing.code == 1
    assert nothing.err.startswith("error[no-match]: no place is called `spatial_con`")
    assert "did you mean `spatial_conv`?" in nothing.err


def test_sites_of_a_network_without_any_and_with_a_wrong_rule(run, tmp_path):
    file = tmp_path / "plain.yaml"
    nodes = "input: [3, 32, 32]\nnodes: {conv1: {op: conv2d, out_channels: 8, kernel_size: 3}, act1: relu}\n"
    file.write_text(nodes)
    assert run("sites", str(file)).out.split("\n  ")[1:] == ["conv1", "act1\n"]
    file.write_text(nodes + "attention: [{use: cbam, after: brunch}]\n")
    found = run("sites", str(file))
    assert found.out.startswith("this network has no sites")
    assert "no place is called `brunch`" in found.err


def test_schema_accepts_every_spec_and_refuses_mistakes(run, tmp_path):
    schema = run("schema").json
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    validator = jsonschema.Draft7Validator(schema)
    from composer.spec import zoo

    for path in map(zoo.find, zoo.names()):
        assert not list(validator.iter_errors(read_file(path).plain())), path
    for right in ("w.pt", "timm:resnet50", {"source": "w.pt", "require": "any", "keys": "mine.yaml", "ema": True}):
        assert not list(validator.iter_errors({"backbone": "resnet50", "weights": right})), right
    node = {"op": "conv2d", "out_channels": "$width", "kernel_size": 1, "from": "layer3.1.bn2"}
    neck = {"backbone": "resnet50", "vars": {"width": 256}, "nodes": {"a": node}}
    assert not list(validator.iter_errors(neck))
    for wrong in (
        {"backbone": "resnet51"},
        {"backbone": "resnet50", "blocks": {"unit": {"nodes": {"a": "relu"}}}},
        {"backbone": "resnet50", "vars": {"width": 256}},
        {"backbone": "resnet50", "atention": []},
        {"backbone": "resnet50", "attention": [{"use": "cbma", "after": "branch"}]},
        {"backbone": "resnet50", "attention": [{"use": "cbam", "after": "branch", "before": "stem"}]},
        {"backbone": "resnet50", "attention": [{"use": "cbam", "after": "branch", "with": {"reductoin": 8}}]},
        {"backbone": "resnet50", "attention": [{"use": "cbam", "after": "branch", "with": {"reduction": "8"}}]},
        {"backbone": "resnet50", "attention": [{"use": "cbam", "after": "branch", "with": {"kernel_size": 4}}]},
        {"input": [3, 8, 8], "nodes": {"a": {"op": "conv2d", "kernel_sise": 3}}},
        {"input": [3, 8, 8], "nodes": {"a": "conv3d"}},
        {"backbone": "resnet50", "weights": {"require": "all"}},
        {"backbone": "resnet50", "weights": {"source": "w.pt", "keys": "no_such_map"}},
        {"backbone": "resnet50", "weights": {"source": "w.pt", "match": "names"}},
    ):
        assert list(validator.iter_errors(wrong)), wrong
    assert run("schema", "-o", tmp_path / "s.json").code == 0
    assert json.loads((tmp_path / "s.json").read_text()) == schema
    assert run("schema", "-o", tmp_path / "s.json").code == 1


@pytest.mark.parametrize("backbone", ["resnet50", "vit_base_patch16_224", "mobilenetv2_100"])
def test_new_writes_a_spec_that_builds_and_fits_its_schema(run, tmp_path, backbone):
    path = tmp_path / "sub" / "my_net.yaml"
    assert run("new", "-o", path, "--backbone", backbone).code == 0
    assert path.read_text().startswith("# yaml-language-server: $schema=composer.schema.json\n")
    assert run("validate", path).code == 0
    schema = json.loads((path.parent / "composer.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(read_file(path).plain())
    result = run("new", "-o", path)
    assert result.code == 1
    assert "--force" in result.err


@pytest.mark.parametrize("other", ['{"title": "somebody\'s"}', "[1]", "no JSON", b"\xff"])
def test_new_replaces_no_schema_of_somebody_else(run, tmp_path, other):
    spec, schema = tmp_path / "net.yaml", tmp_path / "composer.schema.json"
    other = other if isinstance(other, bytes) else other.encode()
    schema.write_bytes(other)
    words = ["new", "-o", spec, "--backbone", "resnet10"]
    result = run(*words)
    assert (result.code, schema.read_bytes(), spec.exists()) == (1, other, False)
    assert "composer.schema.json` exists" in result.err
    assert "--force" in result.err
    assert run(*words, "--force").code == 0
    written = schema.read_bytes()
    # One of its own is renewed, as it is or of an older version.
    for own in (written, b'{"title": "composer spec"}'):
        schema.write_bytes(own)
        spec.unlink()
        assert run(*words).code == 0
        assert schema.read_bytes() == written


def test_new_on_stdout_and_with_an_unknown_backbone(run):
    assert "backbone: resnet18" in run("new", "--backbone", "resnet18").out
    assert "did you mean `resnet18`?" in run("new", "--backbone", "resnet1").err


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["build", "bad.yaml"], ["list", "backbones"], ["list", "papers"]]
)
def test_light_commands_do_not_import_torch(words, tmp_path):
    (tmp_path / "bad.yaml").write_text("backbone: resnet50\nattention:\n  - {use: se, afer: branch}\n")
    code = f"""
import sys
sys.argv = ["composer", *{words!r}]
from composer.cli.app import main
try:
    main()
finally:
    assert not {{"torch", "networkx", "numpy", "einops"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "AssertionError" not in done.stderr
    assert done.returncode == (1 if "bad.yaml" in words else 0)


def test_json_before_the_verb_is_for_the_version(run):
    (line,) = [line for line in run("--help").out.splitlines() if "--json" in line]
    assert "With --version" in line
    assert run("--version", "--json").json == run("--json", "--version").json
    assert "behind the verb" in run("--json", "list").err


@pytest.mark.parametrize("verb", ["", *sorted(VERBS)])
def test_help_is_short_to_ask_for(run, verb):
    words = [verb] if verb else []
    assert run(*words, "-h").out == run(*words, "--help").out != ""


def test_a_shell_completes_verbs_and_specs(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet_of_mine.yaml").touch()
    (tmp_path / "resnets").mkdir()
    (tmp_path / "resnet.txt").touch()
    monkeypatch.setenv("_COMPOSER_COMPLETE", "complete_bash")
    for words, expected in {
        "composer su": ["summary"],
        "composer build resnet15": ["resnet152"],
        "composer diff resnet18 resnet_o": ["resnet_of_mine.yaml"],
        "composer validate resnets": ["resnets/"],
    }.items():
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        assert run().out.split() == expected


@pytest.mark.parametrize("entry", SAMPLED)
def test_the_snippets_of_show_work(run, tmp_path, entry):
    shown = run("show", entry.name, "--at", 64, 14, 14).out
    _, yaml_text, python = re.split(r"^(?:YAML|Python):$", shown, flags=re.MULTILINE)
    (tmp_path / "net.yaml").write_text(textwrap.dedent(yaml_text))
    assert composer.graph(tmp_path / "net.yaml").inserted
    names = {"torch": torch}
    exec(textwrap.dedent(python), names)
    assert names["y"].shape == ((2, 196, 256) if entry.works_on == "b n c" else (2, 256, 14, 14))
    cost = re.search(r"cost at .*: ([\d,]+) parameters, ([\d,]+) MACs", shown)
    assert cost


def test_a_wrong_argument_is_told_in_our_words(run):
    found = run("list", "mechanism").err
    assert "`mechanism` is not one of `all`, `mechanisms`" in found
    assert "did you mean `mechanisms`?" in found
    found = run("bench", "resnet18", "--runs", "x").err
    assert "expected a whole number" in found
    assert "Input should" not in found


def test_check_a_mechanism_and_a_plugin_file(run, tmp_path):
    result = run("check", "se_var1", "--format", "json")
    assert result.code == 0
    assert {one["status"] for one in result.json["se_var1"]} == {"ok"}
    assert run("check", "nope").code == 1
    for option, said in {
        "reduction=0": "`reduction` of `se`: expected greater than 0, found 0",
        "hiden=4": "`se` has no option `hiden`",
    }.items():
        refused = run("check", "se", "--with", option)
        assert refused.code == 1
        assert said in refused.err
    (tmp_path / "none.py").write_text("x = 1\n")
    assert "registers no mechanism" in run("check", tmp_path / "none.py").err
    plugin = tmp_path / "bad.py"
    plugin.write_text(
        "import composer\nfrom torch import nn\n\n\n@composer.mechanism('bad_in_test', kind='channel')\n"
        "class Bad(nn.Module):\n    def forward(self, x):\n        return x.mean((2, 3))\n"
    )
    result = run("check", plugin)
    assert result.code == 1
    assert re.search(r"keeps the shape\s+failed\s+\(1, 64, 1, 1\) becomes \(1, 64\)", result.out)
