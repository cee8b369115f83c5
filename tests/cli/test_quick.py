"""`composer validate --quick` says what the whole check says of text, names and options, without importing PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from composer import registry
from composer.errors import MAX_FOUND, GraphError
from composer.index.card import composers_own
from composer.index.names import Names
from composer.index.options import options_of
from composer.spec import zoo
from composer.spec.load import examine

ROOT = Path(__file__).parents[2]
MESSAGES = ROOT / "tests/dag/messages"
HEAVY = {"torch", "networkx", "einops", "numpy", "composer.registry"}


def _names(source: object, *, plugins: bool = False) -> Names:
    spec, problems = examine(str(source), ask=False)
    assert spec is not None, source
    assert not problems, source
    return Names.of(spec, plugins=plugins)


def test_every_entry_of_the_index_has_the_options_that_its_class_has() -> None:
    for name in composers_own():
        entry = registry.get(name)
        assert entry is not None
        of_class = {key: part for model in entry.models for key, part in _types(model).items()}
        assert _types(options_of(name)) == of_class, name


def _types(model):
    """The schema of each option, in any order of alternatives."""
    left_out = ("default", "title", "description")
    found = {}
    for name, part in model.model_json_schema().get("properties", {}).items():
        part = {key: value for key, value in part.items() if key not in left_out}
        found[name] = sorted(json.dumps(one, sort_keys=True) for one in part.get("anyOf", [part]))
    return found


def test_what_is_sound_passes() -> None:
    papers = zoo.papers()[::10]
    for source in [*zoo.backbones(), *zoo.others(), *papers, *sorted((ROOT / "examples").glob("*.yaml"))]:
        if Path(source).stem != "large_kernel":  # a file of blocks alone
            found = _names(source)
            assert not found.problems, source
            assert not found.unchecked, source


OF_NAMES = sorted(path.stem for path in MESSAGES.glob("*.yaml") if _names(path).problems)


def test_enough_messages_are_of_names() -> None:
    assert len(OF_NAMES) >= 12


@pytest.mark.parametrize("case", OF_NAMES)
def test_it_says_what_the_whole_check_says(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MESSAGES)
    golden = (MESSAGES / f"{case}.txt").read_text(encoding="utf-8")
    for text in str(GraphError(_names(f"{case}.yaml").problems)).split("\n\n"):
        # A node is named by its path in the network there, and by its path in the text here.
        left = [line for line in text.splitlines() if not line.lstrip().startswith("= at:")]
        assert all(line in golden for line in left), text


MISTAKES = """\
backbone: resnet50
vars: {num_clases: 3}
attention:
  - {use: cbamm, after: branch}
  - {use: se, after: branch, with: {reducton: 4}}
  - {use: se, aftr: branch}
  - {use: eca, after: branch, with: {kernel_size: 4}}
  - {use: parameter, after: branch}
  - {use: se-net, after: branch}
"""


def test_every_mistake_at_once_without_torch(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(MISTAKES)
    found = _in_a_child(tmp_path, "validate", "--quick", "net.yaml", "resnet50", "timm:anything")
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1] == "[]"
    for place in ("2:8", "4:11", "5:37", "6:15", "7:51", "8:11", "9:11"):
        assert f"--> net.yaml:{place}\n" in found.stderr
    assert "did you mean `cbam`?" in found.stderr
    assert "did you mean `after`?" in found.stderr
    assert "`se` is what `se-net` is called here" in found.stderr
    assert "not checked: shapes, places" in found.stderr
    lines = ["resnet50: text and names are fine", "timm:anything: text and names are fine"]
    assert found.stdout.splitlines() == [*lines, "  not checked: `anything` of timm, and the vars that it takes"]


def _in_a_child(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"""
import sys
from composer.__main__ import main
sys.argv = ["composer", *{words!r}]
try:
    main()
finally:
    print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)
"""
    words, env = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, env=env, check=False)


def test_what_only_a_plugin_could_have_is_left_open(run, tmp_path: Path) -> None:
    spec, plugin = tmp_path / "net.yaml", tmp_path / "mine.py"
    spec.write_text("backbone: resnet50\nattention:\n  - {use: my_gate, after: branch}\n  - {use: se, aftr: branch}\n")
    plugin.write_text("raise SystemExit('it was imported')")
    result = run("validate", "--quick", spec, "--plugin", plugin, "--format", "json")
    assert [one["code"] for one in result.json[0]["errors"]] == ["unknown-key"]
    spec.write_text("backbone: resnet50\nattention:\n  - {use: my_gate, after: branch}\n")
    result = run("validate", "--quick", spec, "--plugin", plugin, "--format", "json")
    assert result.code == 0
    assert result.json[0]["unchecked"][-1] == "`my_gate`, which only a plugin could have"
    assert run("validate", "--quick", spec).code == 1
    missing = run("validate", "--quick", spec, "--plugin", tmp_path / "none.py")
    assert missing.code == 1
    assert "does not exist" in missing.err


def test_weights_are_not_looked_for(run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("backbone: resnet50\nweights: gone.pt\n")
    assert run("validate", "--quick", spec).code == 0
    spec.write_text("backbone: resnet50\nweights: {source: gone.pt, emma: true}\n")
    assert "did you mean `ema`?" in run("validate", "--quick", spec).err


def test_thousands_of_mistakes_are_not_all_searched(tmp_path: Path) -> None:
    nodes = "".join(f"  n{number}: conw{number}\n" for number in range(5000))
    (tmp_path / "net.yaml").write_text(f"input: [3, 8, 8]\nnodes:\n{nodes}")
    assert len(_names(tmp_path / "net.yaml").problems) == MAX_FOUND


def test_a_network_inside_is_no_unknown_block(run, tmp_path: Path) -> None:
    """A node with `backbone` has a name among the blocks that no text spells, and a mistake in its `from` stays one."""
    spec = tmp_path / "net.yaml"
    spec.write_text("input: [3, 32, 32]\nnodes:\n  a: relu\n  p: {backbone: resnet18, from: zz}\n")
    for words in (["validate"], ["validate", "--quick"]):
        found = run(*words, spec, "--format", "json").json[0]["errors"]
        assert [one["code"] for one in found] == ["unknown-node"]
