"""How specs name models of other libraries: every mistake is answered at its line, and nothing is fetched or run."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

import composer
from composer.errors import GraphError, SpecError, UnavailableError
from composer.sources import make
from composer.sources.offline import Connects, offline

VIT = "{model_type: vit, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}"

# The text of a spec -> code and place of its only problem, and a word of the message or its help.
MISTAKES = [
    ("backbone: timm:resnet5O\n", "unknown-model", "1:11", "resnet50"),
    ("backbone: {timm: resnet50.a1}\n", "unknown-model", "1:18", "a1_in1k"),
    ("backbone: {timm: hf-hub:timm/resnet18}\n", "unknown-model", "1:18", "registry"),
    ("backbone: timm:hf_hub:timm/resnet18\n", "unknown-model", "1:11", "registry"),
    ("backbone: {timm: 'local-dir:/tmp'}\n", "unknown-model", "1:18", "registry"),
    ("backbone: {timm: ../resnet18}\n", "unknown-model", "1:18", "registry"),
    ("backbone: {torchvision: resnet19}\n", "unknown-model", "1:25", "resnet18"),
    ("backbone: {smp: unet}\n", "unknown-model", "1:17", "Unet"),
    ("backbone:\n  transformers: {model_type: swim}\n", "unknown-model", "2:30", "swin"),
    ("backbone: {transformers: clip}\n", "unknown-model", "1:26", "clip_vision_model"),
    ("backbone: {transformers: vit, class: ViTForImageClasification}\n", "unknown-model", "1:38", "ViTForImageClass"),
    ("backbone:\n  timm: resnet18\n  args: {drop_rat: 0.1}\n", "unknown-arg", "3:10", "drop_rate"),
    ("backbone:\n  torchvision: fcn_resnet50\n  args: {aux_los: true}\n", "unknown-arg", "3:10", "aux_loss"),
    ("backbone: timm:resnet18\nvars: {num_clases: 10}\n", "unknown-var", "2:8", "num_classes"),
    (f"backbone: {{transformers: {VIT}}}\nvars: {{num_classes: 10}}\n", "unknown-var", "2:8", ""),
    (f"backbone: {{transformers: {VIT[:-1]}, hiden_size: 3}}}}\n", "unknown-arg", "1:130", "hidden_size"),
    ("backbone: {smp: Unet, args: {encoder_name: resnet81}}\n", "unknown-model", "1:44", "resnet18"),
    ("backbone: {smp: Unet, args: {encoder_name: 'tu-hf-hub:timm/resnet18'}}\n", "unknown-model", "1:44", "encoder"),
    ("backbone:\n  timm: resnet18\n  args: {pretrained: true}\n", "source-weights", "3:10", "`weights:`"),
    ("backbone:\n  timm: resnet18\n  args: {checkpoint_path: a.pth}\n", "source-weights", "3:10", "`weights:`"),
    ("backbone:\n  timm: resnet18\n  args: {pretrained_cfg: {url: 'http://x'}}\n", "source-weights", "3:10", "weights"),
    ("backbone: timm:resnet18\nvars: {cache_dir: /tmp}\n", "source-weights", "2:8", "`weights:`"),
    ("backbone: {torchvision: resnet18, args: {weights: DEFAULT}}\n", "source-weights", "1:42", "`weights:`"),
    ("backbone: {torchvision: fcn_resnet50, args: {weights_backbone: DEFAULT}}\n", "source-weights", "1:46", "weights"),
    ("backbone: {smp: Unet, args: {encoder_weights: imagenet}}\n", "source-weights", "1:30", "`weights:`"),
    ("backbone: {transformers: {model_type: vit, _name_or_path: a/b}}\n", "source-weights", "1:44", "`weights:`"),
    ("backbone: {transformers: vit, args: {trust_remote_code: true}}\n", "source-weights", "1:38", "`weights:`"),
    ("backbone: {transformers: {model_type: detr, backbone: a/b}}\n", "source-weights", "1:45", "backbone_config"),
    (
        "backbone: {transformers: {model_type: vit, attn_implementation: kernels/flash}}\n",
        "source-weights",
        "1:65",
        "`eager`, `sdpa`",
    ),
    (
        "backbone: {transformers: {model_type: timm_wrapper, model_args: {checkpoint_path: a}}}\n",
        "source-weights",
        "1:66",
        "`weights:`",
    ),
    (
        "backbone:\n  transformers:\n    model_type: detr\n"
        "    backbone_config: {model_type: timm_backbone, backbone: 'hf-hub:a/b'}\n",
        "unknown-model",
        "4:60",
        "registry",
    ),
    ("backbone:\n  transformers: {model_type: vit, hidden_size: a}\n", "model", "2:48", "expected int"),
    ("backbone: {timm: resnet18, torchvision: resnet18}\n", "form", "1:11", "exactly one"),
    ("backbone: {args: {a: 1}}\n", "form", "1:11", "exactly one"),
    ("backbone: {tim: resnet18}\n", "unknown-key", "1:12", "`timm`"),
    ("backbone: {timm: 18}\n", "wrong-type", "1:18", "a string"),
    ("backbone: {timm: resnet18, class: ResNet}\n", "form", "1:28", "transformers"),
    ("backbone: {transformers: {hidden_size: 3}}\n", "missing-key", "1:12", "model_type"),
    ("backbone: {timm: resnet18, args: {drop_rate: $p}}\n", "expression", "1:47", "`p`"),
    ("backbone: {timm: resnet18, args: {num_classes: 3}}\nvars: {num_classes: 4}\n", "both", "1:48", "one of the two"),
    ("backbone: torchvision:resnet18\ninput: [4, 64, 64]\n", "input", "2:8", "3 channels"),
    ("backbone: torchvision:vit_b_32\ninput: [3, 64, 96]\n", "input", "2:8", "square"),
    ("backbone: timm:resnet18\ninput: {shape: [3, 4, 64, 64]}\n", "input", "2:16", "b c h w"),
    ("backbone: timm:resnet18\ninputs: {a: [3, 64, 64], b: [3, 64, 64]}\n", "input", "2:13", "1 input"),
]


@pytest.mark.parametrize(("text", "code", "place", "word"), MISTAKES)
def test_a_mistake_has_its_line_and_says_what_to_do(
    tmp_path: Path, text: str, code: str, place: str, word: str
) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        composer.load_spec(file)
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert (problem.code, f"{problem.location.line}:{problem.location.column}") == (code, place), str(problem)
    assert word in str(problem)


def test_what_a_factory_raises_is_said_at_the_line_of_its_arguments(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("backbone:\n  timm: resnet18\n  args:\n    act_layer: nothing\n")
    spec = composer.load_spec(file)
    assert spec.source is not None
    with pytest.raises(GraphError, match="cannot be made") as caught:
        make(spec.source)
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert problem.location.line in (3, 4)


CODE = "from torch import nn\nopen('ran', 'w').close()\n\ndef make(num_classes=7, width=4, in_chans=3):\n"
CODE += "    return nn.Sequential(nn.Conv2d(in_chans, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
CODE += "nn.Linear(width, num_classes))\n\nnothing = 3\n"


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_own_nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_own_nets", raising=False)
    return tmp_path


def test_code_runs_only_where_it_is_allowed(own_code: Path) -> None:
    file = own_code / "net.yaml"
    file.write_text(
        "backbone: {python: 'my_own_nets:make', args: {width: 8}}\ninput: [1, 9, 9]\nvars: {num_classes: 2}\n"
    )
    for source in (file, "my_own_nets:make", {"backbone": "my_own_nets:make"}):
        with pytest.raises(SpecError, match="--allow-code") as caught:
            composer.load_spec(source)
        assert caught.value.diagnostics[0].code == "source-code"
    assert not (own_code / "ran").exists()
    spec = composer.load_spec(file, allow_code=True)
    assert (own_code / "ran").exists()
    assert spec.source is not None
    model = make(spec.source)
    assert {name: tuple(one.shape) for name, one in model.named_parameters()} == {
        "0.weight": (8, 1, 3, 3),
        "0.bias": (8,),
        "3.weight": (2, 8),
        "3.bias": (2,),
    }
    changed = composer.load_spec(spec, vars={"num_classes": 5})
    assert changed.source is not None
    assert make(changed.source).get_submodule("3").out_features == 5


def test_own_code_that_makes_no_module_is_refused(own_code: Path) -> None:
    for name, word in (("make_it", "`make`"), ("nothing", "makes no module")):
        with pytest.raises(SpecError) as caught:
            composer.load_spec(f"my_own_nets:{name}", allow_code=True)
        assert word in str(caught.value)
    with pytest.raises(SpecError, match="cannot import"):
        composer.load_spec("no_such_module_at_all:make", allow_code=True)


@pytest.mark.parametrize(
    ("package", "extra", "source"),
    [
        ("timm", "timm", "timm:resnet18"),
        ("torchvision", "torchvision", "torchvision:resnet18"),
        ("transformers", "transformers", "transformers:vit"),
        ("segmentation_models_pytorch", "smp", "smp:Unet"),
    ],
)
def test_a_missing_library_names_its_extra(
    package: str, extra: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnavailableError, match=rf"attention-composer\[{extra}\]"):
        composer.load_spec(source)


def test_short_forms_and_mappings_are_one() -> None:
    for source in ("timm:resnet18", {"backbone": "timm:resnet18"}, {"backbone": {"timm": "resnet18"}}):
        spec = composer.load_spec(source)
        assert spec.source is not None
        assert (spec.name, spec.source.library, spec.source.name) == ("resnet18", "timm", "resnet18")
        assert dict(spec.vars) == {"num_classes": 1000}
        assert spec.nodes == {}


def test_a_spec_without_references_loads_to_the_same_model() -> None:
    written = {
        "backbone": {"timm": "vit_tiny_patch16_224", "args": {"drop_rate": "$p"}},
        "input": [1, 64, 64],
        "vars": {"num_classes": 5, "p": 0.25, "depth": 2},
        "attention": [{"use": "se", "after": "blocks.0"}],
    }
    spec = composer.load_spec(written)
    again = composer.load_spec(spec.to_mapping())
    assert spec.source is not None
    assert again.source is not None
    assert spec.source.args == {"drop_rate": 0.25}
    assert spec.source.vars == {"num_classes": 5, "depth": 2}
    for part in ("library", "name", "args", "vars", "shapes"):
        assert getattr(again.source, part) == getattr(spec.source, part)
    assert [rule for rule, _ in again.rules] == [rule for rule, _ in spec.rules]


def test_a_network_inside_another_may_be_such_a_model() -> None:
    spec = composer.load_spec(
        {
            "input": [3, 64, 64],
            "vars": {"encoder": "timm:resnet18", "rate": 0.5},
            "blocks": {
                "one": {"backbone": "$encoder", "vars": {"num_classes": 4}},
                "two": {"backbone": {"timm": "resnet18", "args": {"drop_rate": "$rate"}}},
            },
            "nodes": {
                "a": {"block": "one"},
                "b": {"block": "two", "from": "input"},
                "c": {"op": "add", "from": ["a", "b"]},
            },
        }
    )
    one, two = spec.parts["one"].spec.source, spec.parts["two"].spec.source
    assert one is not None
    assert two is not None
    assert (one.vars, two.args) == ({"num_classes": 4}, {"drop_rate": 0.5})


def test_nothing_connects_while_a_model_is_made(own_code: Path) -> None:

    with offline(), pytest.raises(Connects):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 9))


@pytest.mark.parametrize("args", [{"patch_size": "x"}, {"depth": -1.5}, {"in_chans": {"a": 1}}], ids=str)
def test_values_that_no_factory_takes_are_answered(args: dict[str, object]) -> None:
    source = composer.load_spec({"backbone": {"timm": "vit_tiny_patch16_224", "args": args}}).source
    assert source is not None
    with pytest.raises(GraphError, match="cannot be made: TypeError"):
        make(source)


def test_a_network_with_models_inside_is_one_text() -> None:
    inside = {"backbone": {"timm": "resnet18", "args": {"drop_rate": "$rate"}}, "vars": {"num_classes": "$n"}}
    written = {
        "input": [3, 64, 64],
        "vars": {"rate": 0.5, "n": 4},
        "blocks": {"one": inside},
        "nodes": {"a": {"block": "one"}, "b": {**inside, "from": "input"}, "c": {"op": "add", "from": ["a", "b"]}},
    }
    spec = composer.load_spec(written)
    again = composer.load_spec({**spec.to_mapping(), "lock": {}})
    for found in (spec, again):
        for part in found.parts.values():
            assert part.spec.source is not None
            assert (part.spec.source.args, part.spec.source.vars) == ({"drop_rate": 0.5}, {"num_classes": 4})


def test_a_spec_corrects_the_sites_that_are_recognised(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    text = "backbone: timm:resnet18\nsites: {block: 'layer[12].*', mine: [fc], stage: []}\n"
    file.write_text(text + "attention: [{use: eca, after: block, expect: 4}]\n")
    graph = composer.graph(file)
    assert [place.node.path for place in graph.places.select("mine")] == ["fc"]
    assert len(graph.places.select("branch")) == 4
    assert "stage" not in graph.places.sites
    file.write_text(text.replace("layer[12]", "layers"))
    with pytest.raises(GraphError, match=r"`layers\.\*` of site `block` matches no node") as caught:
        composer.graph(file)
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert (problem.code, problem.location.line, problem.location.column) == ("no-match", 2, 16)
