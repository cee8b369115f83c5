"""ONNX files and programs of torch.export as graphs: what they hold, and that nothing in them runs."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile

import pytest
import torch
from torch import nn

import composer
from composer.api import compose
from composer.dag.host import HostScope
from composer.errors import GraphError, SpecError
from composer.sources.files import pt2
from composer.sources.files.pt2 import read_pt2
from composer.spec.load import load_spec

SIZE = 64
# The five families of timm, each at the smallest size that it takes.
NETWORKS = {
    "resnet18": {},
    "mobilenetv3_small_100": {},
    "vit_tiny_patch16_224": {"img_size": SIZE},
    "swin_tiny_patch4_window7_224": {"img_size": SIZE, "window_size": 4},
    "convnext_atto": {},
}


def numbered(model: nn.Module) -> nn.Module:
    """The model with other numbers in every tensor: exporters write equal tensors once."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in (*model.parameters(), *model.buffers()):
            if one.is_floating_point():
                one.copy_(torch.rand(one.shape, generator=generator) + 0.5)
    return model.eval()


SLOW = ("swin_tiny_patch4_window7_224",)


@pytest.fixture(
    scope="module", params=[pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in NETWORKS]
)
def network(request, tmp_path_factory):
    """A network's name, its module, the graph recorded from it, and its program as a file."""
    timm = pytest.importorskip("timm")
    model = numbered(timm.create_model(request.param, **NETWORKS[request.param]))
    images = torch.zeros(1, 3, SIZE, SIZE)
    program = torch.export.export(model, (images,))
    path = tmp_path_factory.mktemp("programs") / f"{request.param}.pt2"
    torch.export.save(program, path)
    args = NETWORKS[request.param]
    spec = {"backbone": {"timm": request.param, **({"args": args} if args else {})}, "input": [3, SIZE, SIZE]}
    if args:
        spec.pop("input")
    return request.param, model, compose(spec), path, program


def test_a_program_has_the_parameters_macs_and_memory_of_its_module(network):
    _, model, recorded, path, _ = network
    found = compose(str(path))
    assert found.num_parameters == recorded.num_parameters
    assert found.num_macs == recorded.num_macs
    # A program of evaluation drops no path, for which training keeps a number of four bytes.
    dropped = 4 * sum(type(one).__name__ == "DropPath" for one in model.modules())
    assert found.summary().to_json()["memory"] + dropped == recorded.summary().to_json()["memory"]


def test_a_program_is_nested_as_its_module_is(network):
    _, model, _, path, _ = network
    scopes = [node for node in compose(str(path)).root.walk() if isinstance(node.content, HostScope)]
    assert scopes
    for node in scopes:
        assert type(model.get_submodule(node.path)).__name__ == node.op


def test_an_onnx_file_has_the_parameters_and_macs_of_its_module(network, tmp_path):
    pytest.importorskip("onnxscript")
    _, model, recorded, _, program = network
    path = tmp_path / "network.onnx"
    torch.onnx.export(program, dynamo=True, verbose=False).save(path)
    found = compose(str(path))
    assert found.num_macs == recorded.num_macs
    # The exporter folds batch norms into convolutions, where a scale and a shift become one bias; and in Swin, tables
    # of relative positions into a bias for each pair of positions.
    parameters = recorded.num_parameters
    parameters -= sum(one.num_features for one in model.modules() if isinstance(one, nn.BatchNorm2d))
    for name, one in model.named_parameters():
        if name.endswith("relative_position_bias_table"):
            index = model.get_buffer(name.replace("bias_table", "index"))
            parameters += index.numel() * one.shape[1] - one.numel()
    # Masks of windows, too, are numbers of which an ONNX file does not say that nothing is learned.
    parameters += sum(one.numel() for name, one in model.named_buffers() if name.endswith("attn_mask"))
    assert found.num_parameters == parameters


def test_what_torch_wrote_before_is_read_too(tmp_path):
    pytest.importorskip("onnx")
    model = numbered(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5))
    )
    path = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 3, 8, 8),), path, dynamo=False)
    found = compose(str(path))
    assert found.num_parameters == 3 * 9 * 8 + 8 + 128 * 5 + 5
    assert found.num_macs == 3 * 9 * 8 * 16 + 128 * 5
    assert [str(one) for one in found.outputs.values()] == ["b×5"]


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.stem(x).relu().mean((2, 3)))


@pytest.fixture
def program(tmp_path):
    """A small program as a file, and its JSON, to be changed."""
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(_Net().eval(), (torch.zeros(2, 3, 8, 8),)), path)
    with zipfile.ZipFile(path) as archive:
        name = next(one for one in archive.namelist() if one.endswith("models/model.json"))
        return path, json.loads(archive.read(name))


def rewritten(path, content, name="net/models/model.json", **others):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content if isinstance(content, str | bytes) else json.dumps(content))
        for other, data in others.items():
            archive.writestr(f"net/data/{other}", data)
    return str(path)


class _Malicious:
    def __reduce__(self):
        return (pytest.fail, ("a pickle of the archive was loaded",))


def test_no_pickle_of_an_archive_is_loaded(program):
    path, content = program
    bad = io.BytesIO()
    pickle.dump(_Malicious(), bad)
    source = rewritten(path, content, weights=bad.getvalue(), constants=bad.getvalue(), sample_inputs=bad.getvalue())
    assert compose(source).num_parameters == 3 * 9 * 4 + 4 + 4 * 2 + 2


def test_the_older_layout_of_the_archive(program):
    path, content = program
    assert compose(rewritten(path, content, "serialized_exported_program.json")).num_macs == 3 * 9 * 4 * 64 + 8


def broken(content, change):
    graph = content["graph_module"]["graph"]
    change(content, graph)
    return content


def _cycle(content, graph):
    graph["nodes"][0]["inputs"][0]["arg"]["as_tensor"]["name"] = graph["nodes"][-1]["outputs"][0]["as_tensor"]["name"]


def _symbol(content, graph):
    graph["tensor_values"]["x"]["sizes"][2] = {"as_expr": {"expr_str": "s0", "hint": None}}


def _lost(content, graph):
    del graph["tensor_values"][graph["nodes"][0]["outputs"][0]["as_tensor"]["name"]]


def _deep(content, graph):
    stack = ";".join(f"k{n},{'.'.join('a' * n)},torch.nn.Module" for n in range(1, 100))
    graph["nodes"][0]["metadata"]["nn_module_stack"] = stack


def _attribute(content, graph):
    graph["nodes"][0]["metadata"]["nn_module_stack"] = "k,forward,torch.nn.Module;l,forward.conv,torch.nn.Module"
    graph["nodes"][0]["target"] = "torch.ops.aten.relu.default"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_cycle, "which nothing before it gives: the graph is broken"),
        (_symbol, "only a symbol: export it again with example inputs"),
        (_lost, "is not in the file"),
        (_deep, "modules deep, more than 64"),
        (_attribute, "no part of a network can be called `forward`"),
        (
            lambda content, graph: content.update(schema_version={"major": 99, "minor": 0}),
            "it has version 99 of the format",
        ),
        (lambda content, graph: content.pop("graph_module"), "is not that of an exported program"),
        (lambda content, graph: graph.update(nodes=[{}]), "is not that of an exported program"),
        (lambda content, graph: content["graph_module"]["signature"].update(input_specs=[]), "has no input"),
    ],
)
def test_a_broken_program_is_a_sentence(program, change, said):
    path, content = program
    with pytest.raises((SpecError, GraphError)) as caught:
        compose(rewritten(path, broken(content, change)))
    assert said in str(caught.value)
    assert f"`{path}`" in str(caught.value)


def test_archives_that_are_none(program, monkeypatch):
    path, _ = program
    whole = path.read_bytes()
    wrong = {
        "it is no whole zip archive": [whole[: len(whole) // 2], b"", b"PK\x03\x04"],
        "holds no models/model.json": [_zip({"../../etc/passwd": b"", "net/data/x": b""})],
        "is no JSON": [_zip({"net/models/model.json": b"{"}), _zip({"net/models/model.json": b"[" * 100_000})],
    }
    for said, files in wrong.items():
        for one in files:
            path.write_bytes(one)
            with pytest.raises(SpecError, match=said):
                compose(str(path))
    monkeypatch.setattr(pt2, "MAX_JSON", 1000)
    with pytest.raises(SpecError, match="more than 0 MB of JSON"):
        compose(rewritten(path, " " * 10_000_000))


def _zip(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_functions_that_are_not_known_are_not_run(program):
    path, content = program
    node = content["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.ops.aten.from_file.default"
    found = compose(rewritten(path, content))
    # Its shape is that of the file, and nobody knows what it costs.
    node, _ = found.operations[0]
    assert found.macs[node.path] is None
    assert found.num_macs is None
    assert node.tensor.shape == (2, 4, 8, 8)


def test_batches_of_any_number(tmp_path):
    found = []
    for batch, dynamic in ((1, None), (2, None), (5, None), (3, {0: torch.export.Dim("batch")})):
        path = tmp_path / f"net{len(found)}.pt2"
        inputs = (torch.zeros(batch, 3, 8, 8),)
        torch.export.save(torch.export.export(_Net().eval(), inputs, dynamic_shapes=dynamic and (dynamic,)), path)
        graph = compose(str(path))
        found.append((graph.num_macs, [str(node.tensor) for node, _ in graph.operations]))
    assert found.count(found[0]) == len(found)
    assert found[0][1][0] == "b×4×8×8"


def test_a_file_cannot_be_built_but_mechanisms_are_priced_in_it(program):
    path, _ = program
    spec = path.with_name("net.yaml")
    spec.write_text("backbone: net.pt2\nattention: [{use: se, after: stem, with: {reduction: 2}}]\n")
    assert compose(spec).num_parameters == compose(str(path)).num_parameters + 2 * 4 * 2 + 2 + 4
    with pytest.raises(GraphError, match="there is no module that could run"):
        composer.build(str(path))
    with pytest.raises(SpecError, match="leaves the spec's own tree"):
        compose({"backbone": {"file": str(path)}})
    with pytest.raises(SpecError, match="there is no file"):
        compose("nowhere.onnx")
    with pytest.raises(SpecError, match="was written for one size"):
        load_spec(str(path), sets=["inputs.x=[3,16,16]"])


def test_onnx_that_is_none(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "net.onnx"
    for content in (b"", b"not onnx at all", b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(SpecError, match="cannot read"):
            compose(str(path))
    info = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "g", [info("x", 1, ["batch", "length", 8])], [info("y", 1, ["batch", "length", 8])]
    )
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(SpecError, match="axis 1 of its input `x` has no length"):
        compose(str(path))


@pytest.mark.parametrize("name", ["resnet18", pytest.param("papers/cbam/resnet50", marks=pytest.mark.slow)])
def test_what_composer_exports_is_read_at_every_size(run, name, tmp_path):
    """Its exports leave batch, height and width open."""
    file = tmp_path / "net.onnx"
    assert run("export", name, "--to", "onnx", "-o", file).code == 0
    for size in (None, [3, 128, 96]):
        graph = composer.graph(name) if size is None else compose(load_spec(name, sets=[f"input={size}"]))
        found = compose(load_spec(str(file), sets=[f"input={size}"] if size else []))
        assert found.num_macs == graph.num_macs
        assert [one.shape[1:] for one in found.outputs.values()] == [(1000,)]
    told = run("summary", file, "--set", "input=[4,128,96]")
    assert told.code == 1
    assert "was written for one size" in told.err


def test_an_onnx_batch_may_be_open(tmp_path):
    onnx = pytest.importorskip("onnx")
    info = onnx.helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(torch.rand(4, 3, 3, 3).numpy(), "weight")
    nodes = [
        onnx.helper.make_node("Conv", ["x", "weight"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2]),
        onnx.helper.make_node("Mystery", ["y"], ["z"], domain="somewhere"),
    ]
    inner = info("z", 1, [1, 4, 4, 4])
    graph = onnx.helper.make_graph(nodes, "g", [info("x", 1, ["batch", 3, 8, 8])], [inner], [weight])
    path = tmp_path / "net.onnx"
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("somewhere", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets), path)
    found = compose(str(path))
    assert [node.op for node, _ in found.operations] == ["pad", "conv2d", "mystery"]
    assert list(found.macs.values()) == [0, 27 * 4 * 16, None]
    assert found.num_parameters == 108


def test_a_program_of_composer_itself(tmp_path):
    model = composer.build(
        {"backbone": "resnet10", "input": [3, 32, 32], "attention": [{"use": "cbam", "after": "branch"}]}
    )
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, 3, 32, 32),)), path)
    found = compose(str(path))
    assert (found.num_parameters, found.num_macs) == (model.graph.num_parameters, model.graph.num_macs)
    assert read_pt2(path).root.endswith("ResNet10") or read_pt2(path).root
