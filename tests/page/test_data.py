"""The data of a page as a whole."""

from __future__ import annotations

import json

import pytest

import composer
from composer import diff
from composer.dag.sketch import Sketch, sketch
from composer.draw.picture import Wish, draw_problems
from composer.errors import GraphError, InputError, SpecError
from composer.page.comparison import difference_data
from composer.page.data import failure_data, networks_of, page_data


def data_of(source, **wish):
    graph = composer.graph(source)
    return page_data(networks_of(Sketch.of(graph), graph), Wish(**wish))


@pytest.fixture(scope="module")
def se():
    return data_of("papers/se/resnet50")


def shown(data, key):
    """Facts of a network as the script reads them: what is not written is as in the first."""
    (network,) = [one for one in data["networks"] if one["key"] == key]
    first = data["facts"][data["networks"][0]["key"]]
    left_out = set(network.get("absent", ()))
    return {path: facts for path, facts in {**first, **data["facts"][key]}.items() if path not in left_out}


def boxes(view):
    for box in view["boxes"]:
        yield box
        if "inner" in box:
            yield from boxes(box["inner"])


def test_it_is_plain_json(se):
    assert json.loads(json.dumps(se))["name"] == "se_resnet50"
    assert se["direction"] == "TB"


def test_both_networks_are_there_with_their_totals(se):
    composed, base = se["networks"]
    assert (composed["key"], composed["parameters"], composed["takes"], composed["gives"]) == (
        "composed",
        28_088_024,
        "3×224×224",
        "1000",
    )
    assert (base["key"], base["parameters"]) == ("base", 25_557_032)


def test_the_base_holds_only_what_differs(se):
    plain = composer.graph("resnet50")
    found = shown(se, "base")
    assert found.keys() == {node.path for node in plain.root.walk() if node.content is not None}
    assert found["layer1"]["parameters"] == plain.root.nodes["layer1"].content.num_parameters
    assert "fc" not in se["facts"]["base"]
    assert not any(facts.get("rule") is not None for facts in found.values())


def test_every_box_has_facts(se):
    for network in se["networks"]:
        found = shown(se, network["key"])
        for box in boxes(network["root"]):
            for path in box.get("copies", [box["path"]]):
                assert path in found
                assert found[path]["kind"] == box["kind"] or "inner" not in box


def test_what_is_open_is_what_the_picture_opens(se):
    assert se["open"] == ["layer1", "layer2", "layer3", "layer4"]
    assert "layer3.1" in data_of("papers/se/resnet50", depth=3)["open"]
    assert data_of("resnet18", select="layer4.1.conv2", depth=1)["open"] == ["layer4", "layer4.1"]
    assert data_of("resnet18", select="conv1", depth=1)["open"] == []
    with pytest.raises(InputError, match="finds nothing"):
        data_of("resnet18", select="layer9")


def test_rules_say_where_how_often_and_what_they_cost(se):
    (rule,) = se["rules"]
    assert rule == {
        **{"number": 1, "use": "se", "where": "after branch", "places": 16, "file": 0, "line": 8},
        **{"parameters": 2_530_992, "macs": 2_514_944},
    }


def test_rules_that_only_take_out_are_rules_too():
    rules = [{"remove": "gate"}, {"use": "eca", "after": "branch", "where": "last"}]
    data = data_of({"backbone": "mobilenetv3_large_100", "attention": rules})
    assert [(rule["use"], rule["where"], rule["places"]) for rule in data["rules"]] == [
        ("", "remove gate", 0),
        ("eca", "after branch", 1),
    ]
    assert data["rules"][0]["parameters"] < 0
    assert data["rules"][1]["condition"] == "last"


def test_without_rules_there_is_one_network():
    data = data_of("resnet18")
    assert [network["label"] for network in data["networks"]] == ["resnet18"]
    assert data["rules"] == []


def test_a_network_with_mistakes(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "input: [4, 8, 8]\nnodes:\n  a: {op: conv2d, out_channels: 8, kernel_size: 3}\n"
        "  bad: {op: conv2d, out_channels: 8, kernel_size: 3, groups: 3}\n  after: relu\n"
    )
    spec = composer.load(file)
    with pytest.raises(GraphError) as caught:
        composer.graph(spec)
    data = page_data(networks_of(sketch(spec, caught.value.diagnostics), None))
    found = data["facts"]["composed"]
    assert (found["bad"]["state"], found["after"]["state"]) == ("failed", "unreached")
    assert found["bad"]["line"] == (0, 4)
    assert found["a"]["macs"] is None
    (problem,) = data["problems"]
    assert (problem["path"], problem["file"], problem["line"]) == ("bad", 0, 4)
    assert "divide into 3 groups" in problem["text"]
    assert data["networks"][0]["macs"] is None


def test_a_text_that_makes_no_network(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("backbone: resnet18\natention: []\n")
    with pytest.raises(SpecError) as caught:
        composer.load(file)
    data = failure_data(draw_problems("bad", caught.value.diagnostics))
    (box,) = data["networks"][0]["root"]["boxes"]
    assert box["state"] == "failed"
    assert data["facts"]["composed"][box["path"]]["line"] == (0, 2)
    assert data["problems"][0]["path"] == box["path"]
    assert data["files"][0]["name"] == "bad.yaml"


def test_a_difference_has_both_networks_and_every_change():
    found = diff("resnet18", {"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    data = difference_data(found)
    after, before = data["networks"]
    assert (after["parameters"] - before["parameters"]) == sum(change["parameters"] for change in data["changes"])
    (change,) = data["changes"]
    assert (change["kind"], change["operation"], len(change["after"]), change["before"]) == ("added", "se", 8, [])
    assert set(change["after"]) <= shown(data, "composed").keys()
    assert set(change["after"]).isdisjoint(shown(data, "base"))
