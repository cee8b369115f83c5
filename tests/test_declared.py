"""What a plugin declares of itself: its shape, its cost, its plain formula, how its attention is applied."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import contract, registry
from composer.looking.forms import ElementMaps, Gates, Routing, TokenMaps
from composer.looking.gather import gather

PLUGIN = '''\
"""A plugin whose kernel is another library's."""
import composer
import torch
from composer import PositiveInt
from torch import Tensor, nn


@composer.mechanism(
    "foreign_gate",
    kind="channel",
    replaces="conv",
    shape=lambda inputs, out_channels, stride: (
        inputs[0].shape[0], out_channels, *(-(-side // stride) for side in inputs[0].shape[2:])
    ),
    macs=lambda inputs, in_channels, out_channels, **others: in_channels * out_channels * others["reduction"],
)
class ForeignGate(nn.Module):
    """Convolve outside of PyTorch."""

    def __init__(self, in_channels: int, out_channels: int = 8, stride: int = 1, *, reduction: PositiveInt = 2):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(out_channels, in_channels))
        self.stride = stride

    def forward(self, x):
        taken = torch.from_numpy(x.detach().numpy()[:, :, :: self.stride, :: self.stride].copy())
        return torch.einsum("bchw,oc->bohw", taken, self.weight)


@composer.layer("foreign_twice", shape=lambda inputs: inputs[0].shape)
def foreign_twice(x: Tensor) -> Tensor:
    """Double outside of PyTorch."""
    return torch.from_numpy(x.detach().numpy() * 2)
'''
NODES = {"conv": {"op": "conv2d", "out_channels": 12, "kernel_size": 3, "stride": 2}, "twice": "foreign_twice"}
RULE = {"use": "foreign_gate", "replace": "conv", "with": {"reduction": 5}}
SPEC = {"name": "foreign", "input": [3, 9, 9], "nodes": NODES, "attention": [RULE]}


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "foreign.py"
    path.write_text(PLUGIN)
    return path


def test_what_cannot_run_on_meta_tensors_has_a_declared_shape(plugin) -> None:
    registry.load_plugin(plugin)
    graph = composer.graph(SPEC)
    assert graph.outputs["output"].shape == (2, 12, 5, 5)
    assert graph.num_parameters == 36
    assert graph.macs == {"conv": 3 * 12 * 5, "twice": None}
    assert graph.refusing_one == {}
    model = composer.build(SPEC)
    assert model(torch.randn(4, 3, 9, 9)).shape == (4, 12, 5, 5)


def test_it_goes_through_every_verb_that_knows_shapes(plugin, tmp_path, run) -> None:
    text = (
        "name: foreign\ninput: [3, 9, 9]\nnodes:\n  conv: {op: conv2d, out_channels: 12, kernel_size: 3, stride: 2}\n"
    )
    spec = tmp_path / "foreign.yaml"
    spec.write_text(f"{text}  twice: foreign_twice\nattention:\n  - {{use: foreign_gate, replace: conv}}\n")
    for words in (["validate"], ["summary"], ["build"], ["graph", "-o", tmp_path / "page.html"]):
        found = run(words[0], spec, *words[1:], "--plugin", plugin)
        assert found.code == 0, found.err
    assert "unknown" in run("summary", spec, "--plugin", plugin).out
    shown = run("show", "foreign_gate", "--plugin", plugin, "--at", 3, 9, 9)
    assert "declares its own: shape, macs\n" in shown.out
    assert "cost at 3×9×9: 9 parameters, 18 MACs" in shown.out
    assert run("show", "foreign_gate", "--plugin", plugin, "--format", "json").json["declares"] == ["shape", "macs"]
    subject = contract.Subject(registry.get("foreign_gate"))
    assert contract.verdict(subject, "meta device", contract.CHECKS["meta device"]).status == "ok"


class Factors(nn.Module):
    """Multiply by `attention(x)`, between 0 and 1."""

    def __init__(self, channels: int):
        super().__init__()

    def attention(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


class Sums(Factors):
    """Add `attention(x)`."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x)


@pytest.mark.parametrize(
    ("factory", "declared", "check", "said"),
    [
        (Factors, {}, "attention values", ""),
        (Factors, {"applied": "1 + gate"}, "attention values", "its attention values are not between 1 and 2"),
        (Sums, {}, "attention values", "the input times its attention values is not its output; `applied` says `gate`"),
        (Factors, {"shape": lambda inputs: inputs[0].shape}, "meta device", ""),
        (Factors, {"shape": lambda inputs: (*inputs[0].shape[:3], 5)}, "meta device", "its `shape` says (2, 64, 7, 5)"),
    ],
)
def test_what_is_declared_is_checked(factory, declared, check, said) -> None:
    composer.mechanism("test_declared", kind="channel", **declared)(factory)
    found = contract.verdict(contract.Subject(registry.get("test_declared")), check, contract.CHECKS[check])
    assert found.status == ("failed" if said else "ok"), found.detail
    assert said in found.detail


def test_without_a_declared_shape_it_is_a_misfit() -> None:
    @composer.layer("test_undeclared")
    def undeclared(x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy())

    with pytest.raises(composer.GraphError, match="`test_undeclared` of plugin"):
        composer.graph({"input": [3, 9, 9], "nodes": {"a": "test_undeclared"}})


class Scaled(nn.Module):
    """Multiply by parameters, element by element."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def macs_of(name: str) -> int | None:
    return composer.graph({"input": [4, 3, 3], "nodes": {"a": name}}).num_macs


def test_a_cost_that_nobody_states_is_unknown_and_not_nothing() -> None:
    composer.layer("test_scaled")(Scaled)
    composer.layer("test_stated", macs=lambda inputs, channels: channels * 9)(type("Stated", (Scaled,), {}))
    composer.layer("test_free", macs=lambda inputs: 0)(type("Free", (Scaled,), {}))
    composer.layer("test_plain")(doubled)
    assert [macs_of(f"test_{name}") for name in ("scaled", "stated", "free", "plain")] == [None, 36, 0, 0]
    assert macs_of("batch_norm") == 0


def doubled(x: Tensor) -> Tensor:
    """Add it to itself: no parameters, nothing that anybody counts."""
    return x + x


def test_a_rule_is_told_defaults_that_no_place_gives() -> None:
    class Wide(Scaled):
        def __init__(self, channels: int, tokens: int = 7):
            super().__init__(channels)

    composer.layer("test_wide", macs=lambda inputs, channels, tokens: channels * tokens)(Wide)
    assert macs_of("test_wide") == 28


def test_what_pytorch_counts_stays_counted() -> None:
    class Product(nn.Module):
        def __init__(self, channels: int):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(channels, channels))

        def forward(self, x: Tensor) -> Tensor:
            mixed = torch.einsum("bchw,oc->bohw", x, self.weight)
            return nn.functional.conv2d(mixed, self.weight[:, :, None, None])

    composer.layer("test_product")(Product)
    assert macs_of("test_product") == 2 * 4 * 4 * 9


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"shape": lambda inputs: "b c h w"}, "its `shape` gives 'b c h w'"),
        ({"shape": lambda inputs: (4, 3, 3)}, "its `shape` gives (4, 3, 3) for a batch of 2"),
        ({"shape": lambda inputs: inputs[3]}, "its `shape` fails: IndexError"),
        ({"macs": lambda inputs: 1.5}, "its `macs` gives 1.5"),
        ({"macs": lambda inputs: -1}, "its `macs` gives -1"),
        ({"macs": lambda inputs: int("x")}, "its `macs` fails: ValueError"),
    ],
)
def test_a_rule_that_goes_wrong_is_told_by_the_line_of_its_plugin(declared, said) -> None:
    composer.layer("test_wrong", **declared)(Scaled)
    with pytest.raises(composer.PluginError) as caught:
        macs_of("test_wrong")
    (problem,) = caught.value.diagnostics
    assert said in problem.message
    assert problem.location.source.name == __file__
    assert problem.location.line > 1


def test_a_shape_may_refuse_its_inputs() -> None:
    def shape(inputs):
        raise ValueError("only squares")

    composer.layer("test_picky", shape=shape)(Scaled)
    with pytest.raises(composer.GraphError, match=r"does not fit .*: only squares"):
        macs_of("test_picky")


class Gate(nn.Module):
    """A gate that may be wrong."""

    def __init__(self, channels: int, *, wrong: bool = False):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.wrong = wrong

    def forward(self, x: Tensor) -> Tensor:
        # The kernel forgets the gradient that goes through the gate.
        gate = self.fc(x).sigmoid()
        return x * (gate.detach() if self.wrong else gate)


class PlainGate(nn.Module):
    """The same in plain words."""

    def __init__(self, channels: int, *, wrong: bool = False):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 / (1 + (-self.fc(x)).exp()))


class OtherGate(PlainGate):
    """Another state_dict."""

    def __init__(self, channels: int, *, wrong: bool = False):
        super().__init__(channels)
        self.bn = nn.BatchNorm2d(channels)


def check(reference, **options) -> contract.Verdict:
    composer.mechanism("test_kernel", kind="channel", reference=reference)(Gate)
    subject = contract.Subject(registry.get("test_kernel"), options)
    (found,) = contract.run(subject, "reference")
    return found


@pytest.mark.parametrize("reference", [PlainGate, lambda module, x: x * module.fc(x).sigmoid()])
def test_a_reference_is_compared_in_outputs_and_gradients(reference) -> None:
    assert check(reference).status == "ok"
    wrong = check(reference, wrong=True)
    assert wrong.status == "failed"
    assert "the gradient of the input is not that of its reference on a map of 7×7" in wrong.detail


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (lambda module, x: x * module.fc(x).tanh(), "the output is not that of its reference"),
        (lambda module, x: (x * module.fc(x).sigmoid())[:, :1], "the output is (2, 64, 7, 7), not (2, 1, 7, 7)"),
        (OtherGate, "its reference has another state_dict"),
    ],
)
def test_another_reference_fails_the_check(reference, said) -> None:
    found = check(reference)
    assert found.status == "failed"
    assert said in found.detail


def test_the_check_is_for_those_that_declare_one(tmp_path, run) -> None:
    assert list(contract.CHECKS)[-1] == "reference"
    assert "reference" not in contract.checks_of(registry.get("se"))
    assert contract.verdict(contract.Subject(registry.get("se")), "reference", contract.CHECKS["reference"]) == (
        contract.Verdict("reference", "refused", "it declares no `reference`")
    )
    assert list(contract.checks_of(registry.get("mhsa"))) == list(contract.CHECKS)


class Attended(nn.Module):
    """Its values are as many as its kind needs."""

    def attention(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        return {
            "gate": x.mean((2, 3), keepdim=True).sigmoid(),
            "1 + gate": 1 + x.mean((2, 3), keepdim=True).sigmoid(),
            "experts": x.mean((2, 3))[:, :2].softmax(1),
            "positions": torch.full((b, 1, h * w, h * w), 1 / (h * w)),
        }[self.applied]

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("kind", "applied", "form"),
    [
        ("channel", "gate", Gates),
        ("channel", "1 + gate", Gates),
        ("spatial", "positions", TokenMaps),
        ("channel", "experts", Routing),
        ("token", "gate", Gates),
        ("channel+spatial", "positions", TokenMaps),
    ],
)
def test_a_plugin_says_how_its_values_are_applied(kind, applied, form, run) -> None:
    mechanism = type("Attends", (Attended,), {"applied": applied, "__doc__": "Attends.", "__module__": __name__})
    composer.mechanism("test_attends", kind=kind, layout="b c h w", applied=applied)(mechanism)
    nodes = {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}, "act": "relu"}
    rules = [{"use": "test_attends", "after": "act"}]
    gathered = gather(composer.build({"input": [3, 8, 8], "nodes": nodes, "attention": rules}), torch.randn(2, 3, 8, 8))
    (one,) = gathered.seen
    assert type(one.form) is form
    assert not isinstance(one.form, ElementMaps)
    if form is Gates:
        assert one.form.offset == applied.startswith("1")
    assert f"its attention values are applied as: {applied}\n" in run("show", "test_attends").out
