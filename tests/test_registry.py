"""The plugin contract: what a signature may be, and what every misuse is told."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import OddInt, PositiveInt, registry
from composer.options import check_defaults
from composer.seeds import Draws, seeded


class Gate(nn.Module):
    """Does nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def refused(register, target) -> str:
    with pytest.raises(composer.PluginError) as caught:
        register(target)
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert problem.location.source.name == __file__
    assert problem.location.line > 1
    return problem.message


def gate(init):
    """A module class with this `__init__`."""
    return type("Written", (Gate,), {"__init__": init, "__doc__": "A gate.", "__module__": __name__})


def test_facts_before_the_star_and_options_after_it():
    @composer.mechanism("test_gate", kind="channel")
    class TestGate(Gate):
        """One line.

        And more.
        """

        def __init__(self, channels: int, *, kernel_size: OddInt = 7, act: Literal["relu", "silu"] = "relu") -> None:
            super().__init__()

    entry = registry.get("test_gate")
    assert entry is not None
    assert entry.factory is TestGate
    assert list(entry.facts) == ["channels"]
    assert set(entry.options.model_fields) == {"kernel_size", "act"}
    assert (entry.kind, entry.works_on, entry.replaces, entry.inputs) == ("channel", "b c h w", None, (1, 1))
    assert entry.summary == "One line."
    assert entry.file == __file__
    assert "test_gate" in composer.list_mechanisms("test_*")


def test_a_token_mechanism_works_on_tokens():
    composer.mechanism("test_token", kind="token")(Gate)
    entry = registry.get("test_token")
    assert entry is not None
    assert entry.works_on == "b n c"


def test_settings_of_a_convolution_are_written_like_options_elsewhere():
    def init(self, in_channels: int, out_channels: int, kernel_size: int = 3, *, reduction: PositiveInt = 4):
        super(Gate, self).__init__()

    composer.mechanism("test_conv", kind="kernel", replaces="conv")(gate(init))
    entry = registry.get("test_conv")
    assert entry is not None
    assert set(entry.settings.model_fields) == {"out_channels", "kernel_size"}
    assert entry.settings.model_fields["out_channels"].is_required()


MISUSES = {
    "swallow misspelt options": lambda self, channels, **kwargs: None,
    "`*args`": lambda self, *args: None,
    "parameter `reduction` has no type hint": lambda self, channels, *, reduction=4: None,
    "`chanels` stands before `*` but is not a fact of a place; did you mean `channels`?": lambda self, chanels: None,
}


@pytest.mark.parametrize("said", MISUSES)
def test_signatures_that_are_refused(said):
    assert said in refused(composer.mechanism("test_bad", kind="channel"), gate(MISUSES[said]))
    assert registry.get("test_bad") is None


def unwritable(self, *, other: nn.Module): ...


def unknown(self, *, other: Nowhere): ...  # noqa: F821


def misfitting(self, *, kernel_size: OddInt = 4): ...


def reserved(self, *, site: str = "x"): ...


@pytest.mark.parametrize(
    ("init", "said"),
    [
        (unwritable, "a type that YAML cannot write"),
        (unknown, "a type hint cannot be read: name 'Nowhere' is not defined"),
        (misfitting, "the default of `kernel_size`"),
        (reserved, "option `site` is a word of the spec language"),
    ],
)
def test_options_that_are_refused(init, said):
    assert said in refused(composer.mechanism("test_bad", kind="channel"), gate(init))


def test_what_is_not_a_mechanism():
    def function(x: Tensor) -> Tensor:
        return x

    class NoForward:
        def __init__(self, channels: int) -> None: ...

    assert "must be an nn.Module class" in refused(composer.mechanism("test_bad", kind="channel"), function)
    assert "no `forward`" in refused(composer.mechanism("test_bad", kind="channel"), NoForward)
    assert "unknown kind `chanel`" in refused(composer.mechanism("test_bad", kind="chanel"), Gate)
    assert "unknown kind `conf`" in refused(composer.layer("test_bad", kind="conf"), Gate)
    assert "unknown replaces" in refused(composer.mechanism("test_bad", kind="kernel", replaces="all"), Gate)
    assert "lower-case" in refused(composer.mechanism("Test Bad", kind="channel"), Gate)


def test_a_name_that_is_taken_says_by_whom():
    message = refused(composer.mechanism("cbam", kind="channel"), Gate)
    assert "the name is taken by" in message
    assert "mechanisms/both/cbam.py:" in message
    assert registry.get("cbam").plugin.name == "composer"


def test_a_notebook_cell_run_twice_replaces_its_own_definition():
    def define(factor: int):
        class Twice(Gate):
            pass

        Twice.factor = factor
        return composer.mechanism("test_twice", kind="channel")(Twice)

    define(1)
    second = define(2)
    assert registry.get("test_twice").factory is second


def test_a_function_is_a_layer_and_its_tensors_are_counted():
    @composer.layer("test_both", kind="merge")
    def both(a: Tensor, b: Tensor, *, scale: float = 1.0) -> Tensor:
        """Two."""
        return a + scale * b

    entry = registry.get("test_both")
    assert entry is not None
    assert isinstance(entry, registry.FunctionEntry)
    assert entry.inputs == (2, 2)
    nodes = {"a": "relu", "b": {"op": "test_both", "from": ["a", "input"], "scale": 0.5}}
    assert composer.build({"input": [3, 4, 4], "nodes": nodes}) is not None


def test_many_threads_register_at_once():
    def register(index: int) -> None:
        composer.mechanism(f"test_thread_{index}", kind="channel")(type(f"Thread{index}", (Gate,), {}))

    threads = [threading.Thread(target=register, args=(index,)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(composer.list_mechanisms("test_thread_*")) == 20


def test_a_mechanism_may_say_where_it_goes():
    composer.mechanism("test_one_place", kind="channel", place={"before": "block"})(gate(lambda self: None))
    several = [{"replace": "mixer"}, {"after": "stage", "where": "not last"}]
    composer.mechanism("test_places", kind="channel", place=several)(gate(lambda self: None))
    composer.mechanism("test_no_place", kind="channel")(gate(lambda self: None))
    found = [registry.get(f"test_{name}").places for name in ("one_place", "places", "no_place")]
    assert found == [({"before": "block"},), tuple(several), ()]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"after": "stage", "with": "x"}, "`with` in its place"),
        ({"where": "last"}, "has not one position"),
        ({"after": "stage", "before": "stage"}, "has not one position"),
        ({"after": 3}, "holds more than text"),
        ([{"after": "stage"}, {"remove": "stage"}], "`remove` in its place"),
    ],
)
def test_a_place_is_in_the_words_of_a_rule(place, said):
    assert said in refused(composer.mechanism("test_lost", kind="channel", place=place), Gate)


class Attends(Gate):
    """With values."""

    def __init__(self, channels: int, *, reduction: PositiveInt = 4) -> None:
        super().__init__()

    def attention(self, x: Tensor) -> Tensor:
        return x


class Narrow(Gate):
    """Of fewer options."""

    def __init__(self, channels: int) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"shape": (1, 2)}, "`shape` is (1, 2)"),
        ({"shape": lambda: (1, 2)}, "`shape` takes no inputs"),
        ({"macs": lambda *, channels: 1}, "`macs` takes no inputs"),
        (
            {"macs": lambda inputs, chanels: 1},
            "`macs` asks for `chanels`, which `test_bad` is not called with; did",
        ),
        ({"macs": 3}, "`macs` is 3"),
        ({"reference": "plain"}, "`reference` is 'plain'"),
        ({"reference": dict}, "`reference` is dict, which has no `forward`"),
        ({"reference": Narrow}, "`reference` cannot be called"),
        ({"reference": lambda module: module}, "`reference` cannot be called"),
        ({"applied": "sum"}, "unknown applied `sum`"),
    ],
)
def test_declarations_that_are_refused(declared, said):
    assert said in refused(composer.mechanism("test_bad", kind="channel", **declared), Attends)
    assert registry.get("test_bad") is None
    composer.mechanism("test_good", kind="channel", reference=Attends, macs=lambda inputs, reduction: 1)(Attends)


def test_declarations_of_what_has_nothing_to_declare():
    def parameter(*, shape: int = 1) -> nn.Parameter: ...

    def function(x: Tensor) -> Tensor: ...

    assert "it has no such method" in refused(composer.mechanism("test_bad", kind="channel", applied="gate"), Gate)
    assert "`applied` is for a class" in refused(composer.layer("test_bad", applied="gate"), function)
    assert "a parameter takes none" in refused(composer.layer("test_bad", kind="parameter", macs=len), parameter)
    assert "`code` is for a function" in refused(composer.layer("test_bad", code=lambda names, inputs: "x"), Gate)
    assert "asks for `x`" in refused(composer.layer("test_bad", macs=lambda inputs, x: 1), function)


def test_each_kind_of_entry_has_what_it_needs():
    kinds = (("m", "se"), ("f", "add"), ("p", "parameter"))
    # Not `vars`, which has what was worked out of it as well.
    found = {kind: {one.name for one in dataclasses.fields(registry.get(name))} for kind, name in kinds}
    assert found["m"] - found["p"] >= {"module", "facts", "settings", "works_on", "replaces", "places", "applied"}
    assert found["f"] - found["p"] == {"code"}
    assert not found["p"] - found["f"]
    assert [registry.get(name).category for name in ("se", "conv2d", "add", "parameter")] == ["mechanism"] + [
        "layer"
    ] * 3


def test_defaults_of_composers_own_options_fit_their_type_hints() -> None:
    registry.load_plugins()
    for entry in registry.entries():
        for model in entry.models:
            check_defaults(model)


def test_composers_own_layers_draw_only_where_they_say() -> None:
    """A layer that says `draws=False` is made without watching every operation for random numbers."""
    quiet = [entry for entry in registry.entries() if entry.is_own and not entry.draws]
    values = dict.fromkeys(("in_channels", "out_channels", "channels", "tokens", "kernel_size", "out_features"), 4)
    values |= dict.fromkeys(("num_groups", "size", "output_size", "multiple", "padding"), 2)
    before = torch.get_rng_state()
    for entry in quiet:
        arguments = {name: values[name] for name in inspect.signature(entry.factory).parameters if name in values}
        seeded(0, entry.name, partial(entry.make, arguments), Draws.OURS)
        assert torch.equal(before, torch.get_rng_state()), entry.name
    assert {"conv2d", "linear", "batch_norm"} <= {entry.name for entry in quiet}
