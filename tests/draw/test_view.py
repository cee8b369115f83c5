"""What is drawn: repeats as one box, what differs apart, attention named, blocks opened as far as it stays readable."""

from __future__ import annotations

import pytest

import composer
from composer.amounts import three_figures
from composer.dag.sketch import Sketch
from composer.draw.describe import describe_names
from composer.draw.picture import Wish, draw, readable_depth
from composer.draw.view import num_boxes, opened


def picture_of(source, **wish):
    return draw(Sketch.of(composer.graph(source)), Wish(**wish))


def boxes_of(picture):
    return [placed.name for figure in picture.figures for placed in figure.layout.boxes]


def test_a_stage_of_resnet50_is_its_first_block_and_the_others_once(view_of):
    layer3 = view_of("resnet50").by_name["layer3"]
    assert [(box.label, box.count) for box in layer3.inner.boxes] == [("0", 1), ("1–5", 5)]
    assert layer3.inner.boxes[1].copies == tuple(f"layer3.{index}" for index in range(1, 6))
    assert layer3.inner.boxes[1].num_parameters == 5 * 1_117_184
    assert layer3.detail == "6 × bottleneck"
    # The others take 1024 channels; the first one has a projection.
    assert "downsample" in layer3.inner.boxes[0].inner.by_name
    assert "downsample" not in layer3.inner.boxes[1].inner.by_name


def details(view):
    return [box.detail for box in view.boxes if box.inner is not None]


def test_blocks_say_what_tells_them_apart(view_of):
    """As people say it: what their shortcut is and their stride, else the options that differ."""
    resnet = view_of("resnet50")
    assert details(resnet.by_name["layer1"].inner) == ["bottleneck, projection", "bottleneck, identity"]
    assert details(resnet.by_name["layer2"].inner) == ["bottleneck, projection, stride 2", "bottleneck, identity"]
    stages = view_of("mobilenetv2_100").by_name["blocks"].inner.by_name
    assert details(stages["4"].inner) == ["inverted_residual, no shortcut", "inverted_residual, identity"]
    branches = view_of("inception_v3").by_name["Mixed_6b"].inner.by_name
    assert [branches[name].detail for name in ("branch7x7_2", "branch7x7_3")] == [
        "unit, conv: 1×7 conv2d, 128",
        "unit, conv: 7×1 conv2d, 192",
    ]
    swin = view_of("swin_tiny_patch4_window7_224").by_name["layers"].inner.by_name["0"].inner
    assert details(swin) == ["transformer", "transformer, attn: shift 3"]


def test_blocks_of_other_libraries_say_it_too(view_of):
    layer2 = view_of({"backbone": {"timm": "resnet18"}}).by_name["layer2"].inner
    assert details(layer2) == ["BasicBlock, projection, stride 2", "BasicBlock, identity"]


def test_blocks_that_differ_by_what_was_inserted_do_not_say_it_twice():
    spec = {"backbone": "resnet34", "attention": [{"use": "se", "after": "layer3.2.bn2"}]}
    layer3 = picture_of(spec, depth=2).figures[0].view.by_name["layer3"].inner
    assert [box.detail for box in layer3.boxes] == ["basic, projection, stride 2", *["basic, identity"] * 3]


def test_copies_that_grow_are_copies_still(view_of):
    features = view_of("densenet121").by_name["features"].inner
    block = features.by_name["denseblock3"]
    assert (block.count, block.detail, block.shapes) == (24, "layer", {"": "1024×14×14"})
    assert block.inner.path == "features.denseblock3.denselayer1"


def test_an_exception_stands_apart():
    graph = composer.graph(
        {"backbone": "vit_base_patch16_224", "attention": [{"use": "sa", "after": "blocks.4.norm2"}]}
    )
    from composer.draw.build import build_view

    blocks = build_view(Sketch.of(graph)).by_name["blocks"]
    assert [box.label for box in blocks.inner.boxes] == ["0–3", "4", "5–11"]
    assert blocks.inner.boxes[1].holds == ((0, "sa", 1),)


def test_options_that_differ_stand_apart():
    rules = [
        {"use": "se", "after": "branch", "where": "stage == 3", "with": {"reduction": "${16 if block < 4 else 8}"}}
    ]
    view = draw(Sketch.of(composer.graph({"backbone": "resnet50", "attention": rules})), Wish(depth=2)).figures[0].view
    assert [box.label for box in view.by_name["layer3"].inner.boxes] == ["0", "1–2", "3–5"]


def test_like_nodes_written_by_hand_are_one_box():
    conv = {"op": "conv2d", "out_channels": 4, "kernel_size": 3}
    spec = {"input": [4, 8, 8], "nodes": {"a1": conv, "a2": conv, "a3": conv, "b": {**conv, "kernel_size": 1}}}
    (figure,) = picture_of(spec).figures
    assert [(box.label, box.count) for box in figure.view.boxes] == [("a1–3", 3), ("b", 1)]


def test_a_node_that_another_one_takes_too_is_no_copy():
    conv = {"op": "conv2d", "out_channels": 4, "kernel_size": 3}
    nodes = {"a1": conv, "a2": conv, "a3": conv, "sum": {"op": "add", "from": ["a3", "a2"]}}
    (figure,) = picture_of({"input": [4, 8, 8], "nodes": nodes}).figures
    assert [box.label for box in figure.view.boxes] == ["a1–2", "a3", "sum"]
    nodes = {"a1": conv, "a2": conv, "a3": conv}
    (figure,) = picture_of({"input": [4, 8, 8], "nodes": nodes, "outputs": {"early": "a1", "late": "a3"}}).figures
    assert [box.label for box in figure.view.boxes] == ["a1", "a2–3"]


def test_what_passes_on_is_not_drawn(view_of):
    view = view_of("vit_base_patch16_224")
    assert "positions" not in view.by_name
    assert [edge.source for edge in view.edges if edge.target == "embed"] == ["tokens", "pos_embed"]


def test_a_block_of_one_box_is_that_box(view_of):
    blocks = view_of("vit_base_patch16_224").by_name["blocks"]
    assert (blocks.path, blocks.op, blocks.count) == ("blocks", "transformer", 12)
    assert blocks.inner.path == "blocks.0"
    assert blocks.num_parameters == 12 * 7_087_872


def test_inserted_helpers_are_marked_as_such(view_of):
    spec = {"backbone": "resnet18", "attention": [{"use": "se", "after": "branch", "start": "identity"}]}
    block = view_of(spec).by_name["layer1"].inner
    boxes = {box.name: box for box in block.walk()}
    assert (boxes["se"].rule, boxes["se"].helper, boxes["se"].kind) == (0, False, "attention")
    assert boxes["se_gamma"].helper
    assert boxes["se_start"].helper
    assert boxes["bn2"].rule is None


def test_several_inputs_and_outputs_keep_their_order(view_of):
    view = view_of("unet")
    edges = [(edge.source, edge.target, edge.index) for edge in view.edges if edge.target == "up2"]
    assert edges == [("up3", "up2", 0), ("down2", "up2", 1)]
    assert list(view.by_name["up2"].inner.inputs) == ["deep", "skip"]


@pytest.mark.parametrize("name", ["papers/se/resnet50", "papers/cbam/resnet50", "papers/eca/resnet50", "resnet50"])
def test_se_resnet50_opens_with_at_most_25_boxes(name):
    picture = picture_of(name)
    # Every box and every frame, those of the inset too.
    drawn = sum(num_boxes(figure.view) + (figure.frame is not None) for figure in picture.figures)
    whole = picture.figures[0].view
    assert drawn + len(whole.inputs) + len(whole.outputs) <= 25
    assert len(boxes_of(picture)) <= 25


def test_the_inset_shows_the_block_where_attention_mostly_goes():
    network, inset = picture_of("papers/se/resnet50").figures
    assert inset.frame.label == "layer1.1"
    assert inset.caption == "12 of 16 blocks look like this one"
    assert any(box.rule == 0 for box in inset.view.boxes)
    assert not any(box.rule == 0 for box in network.view.walk())
    assert len(picture_of("papers/se/resnet50", insets=False).figures) == 1
    # Where it is in sight already, there is none, but for a block of each kind.
    _, block = picture_of("papers/bam/resnet50").figures
    assert block.frame.op == "bottleneck"
    assert not block.frame.holds


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", ["layer1.1: 12 of 16"]),
        ("densenet121", ["features.denseblock1: all 58", "features.transition1: all 3"]),
        ("googlenet", ["inception3a: all 9"]),
        ("convnext_tiny", ["stages.0: all 18"]),
        ("mobilenetv3_small_100", ["blocks.2.1: 5 of 10"]),
        ("vgg11", []),
    ],
)
def test_a_closed_block_of_each_kind_stands_open_beside_the_network(name, expected):
    insets = picture_of(name).figures[1:]
    assert [f"{one.frame.path}: {one.caption.removesuffix(' blocks look like this one')}" for one in insets] == expected
    # None of them is open in the network as well.
    opened = {box.op for box in picture_of(name).figures[0].view.walk() if box.inner is not None}
    assert not opened & {one.frame.op for one in insets}


def test_one_inset_does_for_two_rules_in_one_block():
    rules = [{"use": "se", "after": "branch"}, {"use": "eca", "before": "branch"}, {"use": "cbam", "after": "layer4.1"}]
    picture = picture_of({"backbone": "resnet50", "attention": rules})
    frames = [figure.frame.label for figure in picture.figures[1:]]
    assert frames == ["layer1.1", "layer4.1"]
    assert [(rule.number, rule.use, rule.num_places) for rule in picture.rules] == [
        (1, "se", 16),
        (2, "eca", 16),
        (3, "cbam", 1),
    ]


def test_a_lone_container_is_no_level(view_of):
    assert readable_depth(view_of("mobilenetv2_100")) >= 2
    assert readable_depth(view_of("densenet121")) >= 2


def test_a_few_boxes_would_say_nothing(view_of):
    view = view_of("vgg11")
    assert num_boxes(opened(view, 1)) < 10
    assert readable_depth(view) == 2


def test_depth_is_the_number_of_levels(view_of):
    view = view_of("resnet18")
    assert all(box.inner is None for box in opened(view, 1).walk())
    assert num_boxes(opened(view, 1)) == 10
    assert num_boxes(opened(view, 9)) == num_boxes(view)


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        ("layer3.4", ["layer3.1"]),
        ("layer3.4.conv2", ["layer3.1"]),
        ("layer[12]", ["layer1", "layer2"]),
        ("shortcut", ["layer1.0.downsample", "layer2.0.downsample", "layer3.0.downsample", "layer4.0.downsample"]),
        ("**.bn3", [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]),
    ],
)
def test_a_selection_is_drawn_alone(selector, labels):
    assert [figure.frame.label for figure in picture_of("resnet50", select=selector).figures] == labels


@pytest.mark.parametrize(
    ("selector", "boxes", "ends"),
    [
        ("conv1", ["conv1"], (["input"], ["bn1"])),
        ("stem", ["conv1"], (["input"], ["bn1"])),
        ("fc", ["fc"], (["global_pool"], ["output"])),
        ("[bc]*1", ["conv1", "bn1"], (["input"], ["act1"])),
    ],
)
def test_operations_in_no_block_are_drawn_alone(selector, boxes, ends):
    (figure,) = picture_of("resnet50", select=selector).figures
    assert figure.frame is None
    assert [box.path for box in figure.view.boxes] == boxes
    assert (list(figure.view.inputs), list(figure.view.outputs)) == ends


def test_selected_operations_and_blocks_are_drawn_beside_each_other():
    first, *others = picture_of("resnet18", select="*").figures
    assert [box.path for box in first.view.boxes] == ["conv1", "bn1", "act1", "maxpool", "global_pool", "fc"]
    assert [figure.frame.label for figure in others] == ["layer1", "layer2", "layer3", "layer4"]


def test_what_leads_to_and_from_selected_operations_has_a_name_each():
    conv = {"op": "conv2d", "out_channels": 3, "kernel_size": 3}
    nodes = {"a": conv, "b": "relu", "c": {"op": "add", "from": ["a", "b"]}, "d": {"op": "add", "from": ["c", "a"]}}
    (figure,) = picture_of({"input": [3, 8, 8], "nodes": nodes}, select="[ac]").figures
    view = figure.view
    assert (dict(view.inputs), list(view.outputs)) == ({"input": "3×8×8", "b": "3×8×8"}, ["b", "d", "d'"])
    wires = [("in:input", "a"), ("a", "c"), ("in:b", "c"), ("a", "out:b"), ("c", "out:d"), ("a", "out:d'")]
    assert sorted((edge.source, edge.target) for edge in view.edges) == sorted(wires)


def test_a_block_of_one_operation_is_selected_by_the_operation_too():
    block = {"nodes": {"act": "relu"}}
    spec = {"input": [3, 8, 8], "blocks": {"one": block}, "nodes": {"a": "relu", "b": {"block": "one"}}}
    for selector in ("b", "b.act"):
        (figure,) = picture_of(spec, select=selector).figures
        assert [box.path for box in figure.view.boxes] == ["b"]


def test_a_selection_inside_copies_of_copies():
    (figure,) = picture_of("vit_base_patch16_224", select="blocks.7.mlp.fc1").figures
    assert figure.frame.path == "blocks.0.mlp"


def test_a_selection_of_nothing_is_refused():
    with pytest.raises(composer.InputError, match="did you mean `branch`"):
        picture_of("resnet50", select="brunch")


def test_names_and_counts_in_short():
    assert describe_names(["denselayer1", "denselayer16"]) == "denselayer1–16"
    assert describe_names(["9", "10"]) == "9–10"
    assert describe_names(["a", "b"]) == "a … b"
    assert describe_names(["b1_x", "b2_x"]) == "b1_x … b2_x"
    assert [three_figures(n) for n in (0, 999, 1000, 25_557_032, 999_999, 4_100_000_000)] == [
        "0",
        "999",
        "1 k",
        "25.6 M",
        "1 M",
        "4.1 G",
    ]


def paths(count):
    """A network of equal blocks beside each other, which a sum takes together with what they take."""
    nodes = {"stem": "relu"} | {f"path{index}": {"block": "path", "from": "stem"} for index in range(count)}
    nodes["sum"] = {"op": "add", "from": ["stem", *(f"path{index}" for index in range(count))]}
    block = {"nodes": {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 1}, "act": "relu"}}
    return {"name": "paths", "input": [8, 4, 4], "blocks": {"path": block}, "nodes": nodes}


def test_more_than_eight_equal_siblings_are_one_box(view_of):
    view = view_of(paths(12))
    assert [(box.label, box.count) for box in view.boxes] == [("stem", 1), ("path0–11", 12), ("sum", 1)]
    assert view.boxes[1].num_parameters == 12 * 8 * 8
    assert [edge.source for edge in view.edges if edge.target == "sum"] == ["stem", "path0"]


def test_fewer_siblings_or_different_ones_stay(view_of):
    assert len(view_of(paths(8)).boxes) == 10
    spec = paths(12)
    spec["nodes"]["path3"] = {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "from": "stem"}
    assert [box.count for box in view_of(spec).boxes] == [1, 11, 1, 1]
    # What something else takes too is no copy.
    spec = paths(12)
    spec["nodes"]["other"] = {"op": "add", "from": ["sum", "path0"]}
    assert [(box.label, box.count) for box in view_of(spec).boxes][1:3] == [("path0", 1), ("path1–11", 11)]


def test_an_input_that_is_taken_twice_stays_so(view_of):
    nodes = {"act": "relu", "twice": {"op": "add", "from": ["act", "act"]}}
    view = view_of({"name": "twice", "input": [8, 4, 4], "nodes": nodes})
    assert [edge.source for edge in view.edges if edge.target == "twice"] == ["act", "act"]
