"""From a source to a Spec: references, overriding, settings, and what any bytes may do."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.errors import SpecError
from composer.spec import zoo
from composer.spec.load import load_spec
from composer.spec.references import MAX_REFERENCES
from composer.spec.spec import Spec
from composer.spec.yaml import MAX_BYTES

NET = """\
name: base
input: [3, 32, 32]
vars: {width: 8, twice: "${width * 2}", depths: [1, 2], more: {a: 1}}
blocks:
  unit: {args: {planes: }, nodes: {act: relu}}
nodes:
  conv: {op: conv2d, out_channels: $width, kernel_size: 3}
  one: {block: unit, args: {planes: $twice}}
  two: {op: relu, from: conv}
  add: {op: add, from: [one, two]}
  head: {op: linear, out_features: 10}
outputs: {logits: head}
attention:
  - {use: se, after: conv}
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def to_file(name: str, text: str | bytes = NET) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def code(source: Any, **options: Any) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(source, **options)
    assert str(caught.value).encode("utf-8")
    return caught.value.diagnostics[0].code


def test_a_file_with_nodes(write: Write) -> None:
    spec = load_spec(write("net.yaml"))
    assert spec.vars == {"width": 8, "twice": 16, "depths": [1, 2], "more": {"a": 1}}
    assert list(spec.nodes) == ["conv", "one", "two", "add", "head"]
    assert repr(spec) == "<Spec base: 5 nodes, 1 rule, net.yaml>"
    assert load_spec("net.yaml") == spec
    assert spec.origin == spec.writer.origin


@pytest.mark.parametrize("name", ["resnet50", "papers/cbam/resnet50", "specs/papers/cbam/resnet50.yaml"])
def test_names_of_the_zoo(write: Write, name: str) -> None:
    assert list(load_spec(name).nodes)[-1] == "fc"


def test_every_spec_that_travels_with_composer_loads() -> None:
    names = [*zoo.backbones(), *zoo.papers()]
    assert len(names) > 15
    for name in names:
        assert load_spec(name).nodes


def test_a_network_without_a_name_is_called_after_its_file(write: Write) -> None:
    assert load_spec(write("my_net.yaml", NET.removeprefix("name: base\n"))).name == "my_net"
    assert load_spec({"input": [3], "nodes": {"a": "relu"}}).name == "network"


def test_a_member_builds_on_its_family(write: Write) -> None:
    write("parts/base.yaml")
    write("parts/middle.yaml", "name: middle\nbackbone: base.yaml\nvars: {width: 4}\nattention: [{remove: two}]\n")
    spec = load_spec(
        write("net.yaml", "backbone: parts/middle.yaml\nvars: {depths: [3]}\nattention: [{use: eca, before: head}]\n")
    )
    assert spec.name == "middle"
    assert spec.vars == {"width": 4, "twice": 8, "depths": [3], "more": {"a": 1}}
    assert [rule.use or f"-{rule.remove}" for rule, _ in spec.rules] == ["se", "-two", "eca"]
    assert [str(origin.location()) for _, origin in spec.rules] == [
        "parts/base.yaml:14:5",
        "parts/middle.yaml:4:13",
        "net.yaml:3:13",
    ]
    assert set(spec.digests()) == {"net.yaml", "parts/middle.yaml", "parts/base.yaml"}


def test_a_var_may_be_computed_from_those_of_the_file_below(write: Write) -> None:
    write("base.yaml")
    spec = load_spec(write("net.yaml", "backbone: base.yaml\nvars: {depths: ['${width}', '${twice}']}\n"))
    assert spec.vars["depths"] == [8, 16]


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("../outside.yaml", "outside-root"),
        ("sub/../../outside.yaml", "outside-root"),
        ("/etc/outside.yaml", "outside-root"),
        ("link.yaml", "outside-root"),
        ("folder/outside.yaml", "outside-root"),
        ("loop.yaml", "unknown-backbone"),
        ("missing.yaml", "unknown-backbone"),
        ("directory.yaml", "unknown-backbone"),
        ("pipe.yaml", "unknown-backbone"),
        ("a\\0b.yaml", "yaml-character"),
        ("\\e[31m.yaml", "yaml-character"),
        (f"{'x' * 5000}.yaml", "unknown-backbone"),
        ("net.yaml", "cycle"),
        ("./sub/../net.yaml", "cycle"),
        ("self.yaml", "cycle"),
        ("nope", "unknown-backbone"),
        ("", "unknown-backbone"),
        ("..", "unknown-backbone"),
        ("papers/../../outside", "unknown-backbone"),
    ],
)
def test_references_stay_inside_the_tree(write: Write, reference: str, problem: str) -> None:
    write("../outside.yaml")
    write("sub/inner.yaml")
    Path("link.yaml").symlink_to("../outside.yaml")
    Path("folder").symlink_to("..")
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("self.yaml").symlink_to("net.yaml")
    Path("directory.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    assert code(write("net.yaml", f'backbone: "{reference}"\n')) == problem


def test_links_inside_the_tree_are_files_like_others(write: Write) -> None:
    write("deep/base.yaml")
    Path("link.yaml").symlink_to("deep/base.yaml")
    assert len(load_spec(write("net.yaml", "backbone: link.yaml\n")).nodes) == 5


def test_a_wider_root_may_be_named(write: Write, tmp_path: Path) -> None:
    write("../base.yaml")
    net = write("net.yaml", "backbone: ../base.yaml\n")
    assert code(net) == "outside-root"
    assert len(load_spec(net, root=tmp_path).nodes) == 5
    assert code(net, root=tmp_path / "here") == "outside-root"
    assert code(net, root=tmp_path / "nowhere") == "root"
    assert code(net, root="a\0b") == "root"


def test_a_mapping_refers_to_files_of_the_working_folder(write: Write) -> None:
    write("base.yaml")
    write("../outside.yaml")
    assert len(load_spec({"backbone": "base.yaml"}).nodes) == 5
    assert code({"backbone": "../outside.yaml"}) == "outside-root"
    assert code({"backbone": "\ud800.yaml"}) == "yaml-character"


def test_chains_of_references_end(write: Write) -> None:
    write(f"n{MAX_REFERENCES}.yaml")
    for number in range(MAX_REFERENCES):
        write(f"n{number}.yaml", f"backbone: n{number + 1}.yaml\n")
    assert code("n0.yaml") == "depth"
    assert len(load_spec("n1.yaml").files) == MAX_REFERENCES


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.yaml", "unreadable"),
        ("folder.yaml", "unreadable"),
        ("folder", "unreadable"),
        ("pipe.yaml", "unreadable"),
        ("loop.yaml", "unreadable"),
        ("a\0b", "unknown-spec"),
        ("a\0b.yaml", "unreadable"),
        ("x" * 5000, "unknown-spec"),
        ("x" * 5000 + ".yaml", "unreadable"),
        ("specs/" + "x" * 5000 + ".yaml", "unreadable"),
        ("", "unknown-spec"),
        ("resnet_50", "unknown-spec"),
        ("name: net\nnodes: {}", "source"),
        ("\ud800.yaml", "unreadable"),
        (3, "source"),
        (None, "source"),
        (b"net.yaml", "source"),
        (["net.yaml"], "source"),
    ],
)
def test_sources_that_are_none(write: Write, name: Any, problem: str) -> None:
    Path("folder").mkdir()
    Path("folder.yaml").mkdir()
    Path("loop.yaml").symlink_to("loop.yaml")
    os.mkfifo("pipe.yaml")
    assert code(name) == problem
    if isinstance(name, str) and "\n" not in name and name:
        assert code(Path(name)) == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(write: Write) -> None:
    write("net.yaml").chmod(0)
    assert code("net.yaml") == "unreadable"


def test_inputs_are_overridden_as_a_whole_or_in_part(write: Write) -> None:
    write("base.yaml", NET.replace("[3, 32, 32]", "{shape: [3, 32, 32], mean: [0.5], crop: 0.9}"))
    spec = load_spec(write("net.yaml", "backbone: base.yaml\ninput: [3, '${width * 8}', 64]\n"))
    assert spec.inputs["input"].model_dump(exclude_unset=True) == {
        "shape": [3, "${width * 8}", 64],
        "mean": [0.5],
        "crop": 0.9,
    }
    assert str(spec.input_origins["input"].location()) == "net.yaml:2:8"
    spec = load_spec(
        write("net.yaml", "backbone: base.yaml\ninputs: {left: [3, 8, 8], right: {shape: [1]}}\n"), vars={}
    )
    assert list(spec.inputs) == ["left", "right"]
    assert str((spec.input_origins["right"] / 0).location()) == "net.yaml:2:43"


def test_outputs_over_a_backbone(write: Write) -> None:
    write("base.yaml")
    spec = load_spec(write("net.yaml", "backbone: base.yaml\noutputs: {features: two}\n"))
    assert spec.outputs == {"features": "two"}
    assert spec.own_outputs == {"logits": "head"}
    assert code(write("net.yaml", "backbone: base.yaml\noutputs: {features: three}\n")) == "unknown-node"


def test_vars_from_python(write: Write) -> None:
    net = write("net.yaml")
    spec = load_spec(net, vars={"width": 2, "depths": (5,)})
    assert (spec.vars["twice"], spec.vars["depths"]) == (4, [5])
    again = load_spec(spec, vars={"width": 3})
    assert (again.vars["twice"], again.vars["depths"]) == (6, [5])
    assert load_spec(net, vars={"width": "${1 + 2}"}).vars["twice"] == 6
    assert code(net, vars={"wdth": 2}) == "unknown-var"
    assert code(net, vars={"width": {1, 2}}) == "yaml-type"
    assert code(net, vars={1: 2}) == "yaml-key"
    assert code(net, vars={"width": "$nope"}) == "expression"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vars.width=4", lambda spec: spec.vars["twice"] == 8),
        ("vars.width = 4", lambda spec: spec.vars["twice"] == 8),
        ("vars.width=${2 * 2}", lambda spec: spec.vars["twice"] == 8),
        ("vars.depths=[7, $width]", lambda spec: spec.vars["depths"] == [7, 8]),
        ("vars.depths.1=4", lambda spec: spec.vars["depths"] == [1, 4]),
        ("vars.more.a=2", lambda spec: spec.vars["more"] == {"a": 2}),
        ("vars.more.b.c=2", lambda spec: spec.vars["more"] == {"a": 1, "b": {"c": 2}}),
        ("vars.more.b=", lambda spec: spec.vars["more"] == {"a": 1, "b": None}),
        ("input=[3,64,64]", lambda spec: spec.inputs["input"].shape == [3, 64, 64]),
        ("input.2=64", lambda spec: spec.inputs["input"].shape == [3, 32, 64]),
        ("attention.0.with.reduction=8", lambda spec: spec.rules[0][0].options == {"reduction": 8}),
        ("attention.0={use: eca, after: conv}", lambda spec: spec.rules[0][0].use == "eca"),
        ("attention=[]", lambda spec: spec.rules == ()),
        ("nodes.two.op=gelu", lambda spec: spec.nodes["two"].op == "gelu"),
        ("name=a=b", lambda spec: spec.name == "a=b"),
    ],
)
def test_settings(write: Write, text: str, found: Callable[[Spec], bool]) -> None:
    write("net.yaml", NET.replace('twice: "${width * 2}"', 'twice: "${0 if width == null else width * 2}"'))
    assert found(load_spec("net.yaml", sets=[text]))


def test_settings_reach_the_vars_of_the_file_below(write: Write) -> None:
    write("base.yaml")
    spec = load_spec(
        write("net.yaml", "backbone: base.yaml\n"), sets=["vars.depths.0=4", "vars.depths.1=5", "vars.width=1"]
    )
    assert (spec.vars["depths"], spec.vars["twice"]) == ([4, 5], 2)
    again = load_spec(spec, sets=["vars.depths.0=6"])
    assert again.vars["depths"] == [6, 5]
    assert code(spec, sets=["name=x"]) == "set"


@pytest.mark.parametrize(
    ("text", "problem", "under"),
    [
        ("vars", "set", "vars"),
        ("", "set", ""),
        ("=1", "set", "="),
        ("vars..x=1", "set", "vars..x"),
        (".".join("a" * 65) + "=1", "set", ".".join("a" * 65)),
        ("vars.widht=1", "unknown-var", "vars.widht"),
        ("vars.widht.0=1", "unknown-var", "vars.widht.0"),
        ("vars.depths.2=1", "set", "vars.depths.2"),
        ("vars.depths.-1=1", "set", "vars.depths.-1"),
        ("vars.depths.\u0663=1", "set", "vars.depths.\u0663"),
        ("vars.depths.0.0=1", "set", "vars.depths.0.0"),
        ("vars.width.0=1", "set", "vars.width.0"),
        ("vars.width=$nope", "expression", "nope"),
        ("vars.width='${1 + nope}'", "expression", "nope"),
        ("attention.1.use=se", "set", "attention.1.use"),
        ("blocks.unit.vars.0.a=1", "set", "blocks.unit.vars.0.a"),
        ("nam=1", "unknown-key", "nam"),
        ("nam.e=1", "unknown-key", "nam.e"),
        ("name=3", "wrong-type", "3"),
        ("attention.0.expect=many", "wrong-type", "many"),
        ("nodes.two.from=tree", "unknown-node", "tree"),
        ("nodes.new=3", "wrong-type", "3"),
        ("name=[", "yaml-syntax", ""),
        ("name=*a", "yaml-alias", "*a"),
        ("name=!x a", "yaml-tag", "!x a"),
        ("name=\t", "yaml-tab", "\t"),
        ("name=a\nb: c", "yaml-syntax", ""),
    ],
)
def test_settings_that_cannot_be(write: Write, text: str, problem: str, under: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(write("net.yaml"), sets=[text])
    (found,) = caught.value.diagnostics
    assert found.code == problem
    place = found.location
    assert place is not None
    assert place.source.name == "--set"
    if under:
        assert place.source.line(place.line)[place.column - 1 : place.end_column - 1] == under


def equal(one: Spec, other: Spec) -> bool:
    parts = ("name", "inputs", "vars", "nodes", "blocks", "outputs", "classes")
    same_rules = [rule for rule, _ in one.rules] == [rule for rule, _ in other.rules]
    return same_rules and all(getattr(one, part) == getattr(other, part) for part in parts)


@pytest.mark.parametrize("name", [*zoo.backbones(), *zoo.papers()])
def test_one_mapping_says_the_same_as_many_files(name: str) -> None:
    spec = load_spec(name)
    assert equal(load_spec(spec.to_mapping()), spec)
    assert copy.deepcopy(spec) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_a_mapping_of_what_was_changed(write: Write) -> None:
    write("base.yaml")
    text = "backbone: base.yaml\ninput: {shape: [3, 64, $width], mean: [0.5]}\noutputs: {a: two, b: one}\n"
    spec = load_spec(
        write("net.yaml", text + "classes: [x, 'y']\n"),
        vars={"width": 4},
        sets=["vars.more.a='$${x}'", "attention=[{remove: two}]"],
    )
    assert spec.vars["more"] == {"a": "${x}"}
    assert equal(load_spec(spec.to_mapping()), spec)
    loaded = pickle.loads(pickle.dumps(spec))
    assert loaded == spec
    assert load_spec(loaded, vars={"width": 5}).vars["twice"] == 10


def test_vars_hold_no_more_than_a_file_could(write: Write) -> None:
    lists = "".join(f"  v{number}: '${{[v]}}'\n" for number in range(30))
    assert (
        code(write("net.yaml", f"input: [3]\nnodes: {{a: relu}}\nvars:\n  v: [{'1, ' * 9_000}]\n{lists}")) == "budget"
    )


def test_digests_are_of_what_was_read(write: Write) -> None:
    net = write("net.yaml")
    first = load_spec(net).digests()
    write("net.yaml", NET + "# more\n")
    assert load_spec(net).digests() != first
    data = {"input": [3], "nodes": {"a": "relu"}}
    assert load_spec(data).digests() != load_spec({**data, "name": "b"}).digests()


def test_class_names(write: Write) -> None:
    write("names.txt", "ant\nbee\n")
    write("base.yaml", NET + "classes: names.txt\n")
    assert load_spec("base.yaml").classes == ("ant", "bee")
    assert load_spec(write("net.yaml", "backbone: base.yaml\n")).classes == ("ant", "bee")
    assert load_spec(write("net.yaml", "backbone: base.yaml\nclasses: [x]\n")).classes == ("x",)
    assert len(load_spec(write("net.yaml", "backbone: base.yaml\nclasses: imagenet1k\n")).classes or ()) == 1000
    assert load_spec(write("net.yaml", NET)).classes is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nope", "classes"),
        ("nope.txt", "classes"),
        ("base.yaml", "classes"),
        ("../outside.txt", "outside-root"),
        ("link.txt", "outside-root"),
        ("/etc/passwd.txt", "outside-root"),
        ("pipe.txt", "classes"),
        ("a\\0.txt", "yaml-character"),
        ("latin.txt", "yaml-encoding"),
        ("large.txt", "yaml-size"),
    ],
)
def test_class_names_that_cannot_be_read(write: Write, name: str, problem: str) -> None:
    write("../outside.txt", "secret")
    Path("link.txt").symlink_to("../outside.txt")
    os.mkfifo("pipe.txt")
    write("latin.txt", b"caf\xe9\n")
    write("large.txt", b"x\n" * (MAX_BYTES // 2 + 1))
    assert code(write("net.yaml", f'backbone: resnet50\nclasses: "{name}"\n')) == problem


def test_weights_that_nobody_wants_are_not_looked_for(write: Write) -> None:
    write("base.yaml", f"{NET}weights: gone.pt\n")
    member = write("net.yaml", "backbone: base.yaml\n")
    for path in ("base.yaml", member):
        with pytest.raises(SpecError, match=r"gone\.pt"):
            load_spec(path)
        spec = load_spec(path, weights=False)
        assert spec.weights is None
        # Nor are they later, when its vars are changed.
        assert load_spec(spec, vars={"width": 4}).weights is None
