"""The files of a page, and which line makes what."""

from __future__ import annotations

import composer
from composer.page.sources import Files


def test_the_chain_from_what_was_asked_for_to_what_has_the_nodes():
    files = Files.of_spec(composer.load("papers/se/resnet50"))
    assert files.names == [
        "specs/papers/se/resnet50.yaml",
        "specs/backbones/resnet50.yaml",
        "specs/backbones/resnet.yaml",
    ]
    assert files.to_json()[0]["text"].startswith("# SE-ResNet-50")


def test_names_tell_nothing_of_the_folders_above(tmp_path):
    folder = tmp_path / "secret" / "nets"
    folder.mkdir(parents=True)
    (folder / "base.yaml").write_text("input: [3, 8, 8]\nnodes: {a: relu}\n")
    (tmp_path / "secret" / "net.yaml").write_text("backbone: nets/base.yaml\n")
    spec = composer.load(tmp_path / "secret" / "net.yaml")
    assert Files.of_spec(spec).names == ["net.yaml", "nets/base.yaml"]


def test_every_node_is_on_the_line_that_writes_it():
    graph = composer.graph("papers/cbam/resnet50")
    files = Files.of_spec(graph.spec)
    for node in graph.root.walk():
        number, line = files.line_of(node.origin)
        text = files.sources[number].line(line)
        if node.rule is not None:
            assert "use: cbam" in text
        else:
            assert text.strip().startswith(str(node.origin.path[-1])) or f'"{node.origin.path[-1]}"' in text


def test_what_takes_several_lines_has_its_last():
    graph = composer.graph("resnet50")
    files = Files.of_spec(graph.spec)
    number, line = files.line_of(graph.root.nodes["layer1"].content.nodes["0"].content.nodes["conv2"].origin)
    last = files.spans[number, line]
    lines = [files.sources[number].line(one) for one in range(line, last + 1)]
    assert lines[0].strip() == "conv2:"
    assert lines[-1].strip() == "site: spatial_conv"
    assert files.to_json()[number]["spans"][str(line)] == last


def test_a_mapping_has_no_lines():
    spec = composer.load({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    files = Files.of_spec(spec)
    assert files.names == ["specs/backbones/resnet18.yaml", "specs/backbones/resnet.yaml"]
    assert files.line_of(spec.rules[0][1]) is None


def test_two_specs_share_their_files():
    files = Files.of_spec(composer.load("papers/se/resnet50"), composer.load("resnet50"))
    assert len(files.names) == 3
