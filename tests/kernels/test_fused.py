"""Kernels give what the plain formula gives, to everyone who looks on, and step aside where they cannot."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import registry
from composer.contract import Refusal, Subject
from composer.contract.subject import shake
from composer.errors import SpecError
from composer.kernels import passes, set_kernels
from composer.kernels.choice import has_kernel
from composer.mechanisms.channel.se import SqueezeExcitation
from composer.registry import ModuleEntry
from tests.mechanisms.cases import case_of

FORMATS = (torch.contiguous_format, torch.channels_last)


def entries() -> list[ModuleEntry]:
    found = {entry.factory: entry for entry in registry.mechanisms() if isinstance(entry, ModuleEntry)}
    return [entry for kind, entry in found.items() if has_kernel(kind)]


def subjects() -> list[Subject]:
    return [Subject(entry, one) for entry in entries() for one in ({}, *case_of(entry.name).options)]


def named(subject: Subject) -> str:
    return " ".join([subject.entry.name, *(f"{name}={value}" for name, value in subject.options.items())])


each = pytest.mark.parametrize("subject", subjects(), ids=named)


def pair(subject: Subject, dtype: torch.dtype, side: int = 7) -> tuple[nn.Module, nn.Module]:
    """A mechanism with numbers that differ from each other, and its plain formula."""
    fused = subject.build(side, side)
    shake(fused)
    fused = fused.to(dtype)
    plain = copy.deepcopy(fused)
    set_kernels(plain, "reference")
    return fused, plain


def run(module: nn.Module, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """Output and gradients, by name."""
    x = x.detach().requires_grad_()
    module.zero_grad()
    y = module(x)
    y.backward(g)
    found = {"y": y.detach(), "x": x.grad, **{name: one.grad for name, one in module.named_parameters()}}
    return {name: one for name, one in found.items() if one is not None}


def apart(one: Tensor, other: Tensor, size: float = 0.0) -> float:
    """The largest difference, as a share of the largest number, or of `size` if that is more."""
    one, other = one.detach(), other.detach()
    most = max(float(other.double().abs().max()), size, 1e-30)
    return float((one.double() - other.double()).abs().max()) / most


def count_kernel_runs(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Grows by the output of each run of the kernel of `se`."""
    ran: list[Tensor] = []
    method = vars(SqueezeExcitation)["forward"]
    kernel = method.kernel

    def counted(module: nn.Module, x: Tensor) -> Tensor:
        ran.append(kernel(module, x))
        return ran[-1]

    # The decorated method closes over its kernel.
    cells = dict(zip(method.__code__.co_freevars, method.__closure__, strict=True))
    monkeypatch.setattr(cells["kernel"], "cell_contents", counted)
    return ran


@pytest.mark.parametrize("side", [7, 24])
@pytest.mark.parametrize("memory_format", FORMATS, ids=["first", "last"])
@each
def test_same_numbers(subject: Subject, memory_format: torch.memory_format, side: int) -> None:
    for dtype, near in ((torch.float64, 1e-12), (torch.float32, 5e-6), (torch.bfloat16, 2**-5)):
        fused, plain = pair(subject, dtype, side)
        x, truth = subject.sample(3, side, side, torch.float64).to(dtype), pair(subject, torch.float64, side)[1]
        x = x.to(memory_format=memory_format)
        g = torch.randn(plain(x).shape, generator=torch.Generator().manual_seed(2)).to(x)
        found, wanted, exact = run(fused, x, g), run(plain, x, g), run(truth, x.double(), g.double())
        assert found.keys() == wanted.keys()
        assert found["y"].stride() == wanted["y"].stride()
        assert found["x"].stride() == wanted["x"].stride()
        # A bias before a norm has a gradient of nothing but rounding.
        size = max(float(one.abs().max()) for one in exact.values()) / 100
        # Windows keep their logits in bfloat16, as timm's do: their gradients are as far from the exact ones as its.
        rounded = dtype == torch.bfloat16 and subject.entry.name.startswith(("window", "halo", "cga"))
        for name in found:
            assert found[name].dtype == wanted[name].dtype
            error = apart(wanted[name], exact[name], size)
            assert apart(found[name], exact[name], size) <= max(near, (4 if rounded else 2) * error), name
        assert apart(found["y"], wanted["y"]) <= (2 * near if rounded else 1e-6)


@each
def test_gradients_in_any_layout_of_the_gradient(subject: Subject) -> None:
    fused, plain = pair(subject, torch.float64, 6)
    x = subject.sample(2, 6, 6, torch.float64)
    for given in (torch.ones(()).double().expand(x.shape), x.transpose(2, 3), x.to(memory_format=torch.channels_last)):
        found, wanted = run(fused, x, given), run(plain, x, given)
        size = max(float(one.abs().max()) for one in wanted.values()) / 100
        for name, one in wanted.items():
            assert apart(found[name], one, size) < 1e-12, name


@each
def test_first_and_second_derivatives(subject: Subject) -> None:
    module = Subject(subject.entry, {**subject.options, **case_of(subject.entry.name).small}, channels=4)
    try:
        fused = pair(module, torch.float64, 4)[0]
    except Refusal as refusal:
        pytest.skip(str(refusal))
    # With a bias that learns, attention in windows has second derivatives.
    names = [name for name, one in fused.named_parameters() if one.numel() <= 32 or "table" in name or "cpb" in name]
    x = module.sample(2, 4, 4, torch.float64).requires_grad_()
    state = {name: one.detach() for name, one in fused.named_parameters()}
    buffers = {name: one.detach().clone() for name, one in fused.named_buffers()}

    def call(x: Tensor, *given: Tensor) -> Tensor:
        # Statistics that move with each call would make no function.
        for name, one in fused.named_buffers():
            one.data.copy_(buffers[name])
        return torch.func.functional_call(fused, {**state, **dict(zip(names, given, strict=True))}, (x,))

    given = [state[name].clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(call, (x, *given), fast_mode=True)
    if "hard_sigmoid" not in subject.options.values():
        # PyTorch has no second derivative of it.
        assert torch.autograd.gradgradcheck(call, (x, *given), fast_mode=True)


@each
def test_keeps_no_more_for_the_backward_pass(subject: Subject) -> None:
    def kept(module: nn.Module, x: Tensor) -> int:
        seen: dict[int, int] = {}

        def note(one: Tensor) -> Tensor:
            seen[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
            return one

        with torch.autograd.graph.saved_tensors_hooks(note, lambda one: one):
            kept_alive.append(module(x.clone().requires_grad_()))
        return sum(seen.values())

    kept_alive: list[Tensor] = []
    fused, plain = pair(subject, torch.float32, 24)
    x = subject.sample(2, 24, 24)
    assert kept(fused, x) <= kept(plain, x)


def test_the_kernel_runs_where_nothing_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = count_kernel_runs(monkeypatch)
    module, x = SqueezeExcitation(8), torch.randn(2, 8, 5, 5, requires_grad=True)
    module(x)
    assert len(ran) == 1


def test_of_small_batches_the_plain_formula_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = count_kernel_runs(monkeypatch)
    # Bytes: of two images of 8 × 5 × 5 in float32, or of one image in channels_last.
    monkeypatch.setattr(passes, "LARGE", 1600)
    module = SqueezeExcitation(8)
    for batch, runs in ((1, 0), (2, 1)):
        module(torch.randn(batch, 8, 5, 5, requires_grad=True))
        assert len(ran) == runs
    module(torch.randn(1, 8, 5, 5).to(memory_format=torch.channels_last).requires_grad_())
    assert len(ran) == 2


def test_without_a_backward_pass_the_plain_formula_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = count_kernel_runs(monkeypatch)
    module, x = SqueezeExcitation(8), torch.randn(2, 8, 5, 5, requires_grad=True)
    with torch.no_grad():
        module(x)
    with torch.inference_mode():
        module(x)
    module(x.detach()).sum().backward()
    assert not ran
    assert module.fc1.weight.grad is not None


@pytest.mark.filterwarnings("ignore")
def test_it_steps_aside_for_whoever_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = count_kernel_runs(monkeypatch)
    module, x = SqueezeExcitation(8), torch.randn(2, 8, 5, 5, requires_grad=True)
    wanted = copy.deepcopy(module)
    set_kernels(wanted, "reference")

    class Changed(SqueezeExcitation):
        def attention(self, x: Tensor) -> Tensor:
            return 2 * super().attention(x)

    class Marked(Tensor):
        pass

    changed = Changed(8)
    changed.load_state_dict(module.state_dict())
    assert torch.equal(changed(x), 2 * wanted(x))
    assert torch.equal(torch.vmap(module)(x[:, None])[:, 0], torch.vmap(wanted)(x[:, None])[:, 0])
    torch.func.jvp(module, (x,), (x,))
    torch.func.grad(lambda x: module(x).sum())(x)
    with torch.autograd.forward_ad.dual_level():
        module(torch.autograd.forward_ad.make_dual(x, x))
    with torch.autocast("cpu", torch.bfloat16):
        assert module(x).dtype == wanted(x).dtype
    module(x.as_subclass(Marked))
    torch.jit.trace(module, x, check_trace=False)
    torch.fx.symbolic_trace(module)(x)
    torch.export.export(module, (x,))
    module.to("meta")(x.to("meta"))
    wanted(x)
    assert not ran


def test_it_compiles_as_one_graph() -> None:
    module, x = SqueezeExcitation(8), torch.randn(2, 8, 5, 5)
    assert torch.equal(torch.compile(module, fullgraph=True, backend="eager")(x), module(x))


def test_hooks_of_the_layers_inside_run_with_true_gradients() -> None:
    found: dict[str, list[Tensor]] = {"fused": [], "reference": []}
    module, x = SqueezeExcitation(8), torch.randn(2, 8, 5, 5)
    for kernels, seen in found.items():
        one = copy.deepcopy(module)
        set_kernels(one, kernels)
        one.fc1.register_forward_hook(lambda module, given, y, seen=seen: seen.append(y.detach()))
        for inside in (one, one.fc1):
            inside.register_full_backward_hook(lambda module, given, of, seen=seen: seen.extend([given[0], of[0]]))
        one(x.clone().requires_grad_()).square().sum().backward()
    assert len(found["fused"]) == 5
    for one, other in zip(found["fused"], found["reference"], strict=True):
        assert apart(one, other) < 1e-5


def test_gradients_of_a_part() -> None:
    """Only of the input, only of a weight, of a frozen gate, of a gate that does not listen, one after the other."""
    module, x = SqueezeExcitation(8).double(), torch.randn(2, 8, 5, 5).double().requires_grad_()
    plain = copy.deepcopy(module)
    set_kernels(plain, "reference")
    for change in (lambda one: None, lambda one: one.requires_grad_(False)):
        change(module), change(plain)
        found, wanted = module(x), plain(x)
        if module.fc1.weight.requires_grad:
            for name in ("fc1", "fc2"):
                one, other = (
                    torch.autograd.grad(y.square().sum(), getattr(of, name).weight, retain_graph=True)[0]
                    for y, of in ((found, module), (wanted, plain))
                )
                assert apart(one, other) < 1e-13
        (one,) = torch.autograd.grad(found.square().sum(), x, create_graph=True)
        (other,) = torch.autograd.grad(wanted.square().sum(), x, create_graph=True)
        assert apart(one, other) < 1e-13
        one, other = (torch.autograd.grad(g.square().sum(), x)[0] for g in (one, other))
        assert apart(one, other) < 1e-13
    with torch.no_grad():
        module.fc2.weight.zero_()
    module.fc2.forward = lambda z: torch.zeros_like(z).expand(-1, 8, -1, -1)[:, :8].mean(1, True).expand(-1, 8, 1, 1)
    (one,) = torch.autograd.grad(module(x).sum(), x)
    assert torch.equal(one, torch.full_like(one, 0.5))


def test_what_is_not_asked_for_is_freed() -> None:
    """The gate's graph leads back to the pooling: a gate that waits there would never be freed."""

    class Value:
        pass

    module, x = SqueezeExcitation(8), torch.randn(2, 8, 5, 5, requires_grad=True)
    value = Value()
    watch = weakref.ref(value)
    x.grad_fn_holds = value  # type: ignore[attr-defined]
    for create in (False, True):
        torch.autograd.grad(module(x * 1).sum(), module.fc1.weight, create_graph=create)
    del x, value
    gc.collect()
    assert watch() is None


def test_it_runs_again_in_checkpoints() -> None:
    module, x = SqueezeExcitation(8).double(), torch.randn(2, 8, 5, 5).double().requires_grad_()
    (wanted,) = torch.autograd.grad(module(x).square().sum(), x)
    for reentrant in (False, True):
        y = torch.utils.checkpoint.checkpoint(module, x, use_reentrant=reentrant)
        x.grad = None
        y.square().sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, wanted)


SPEC = {
    "input": [3, 16, 16],
    "nodes": {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}, "act": "relu"},
    "attention": [{"use": "se", "after": "act"}],
}


def test_a_spec_asks_for_plain_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = count_kernel_runs(monkeypatch)
    x = torch.randn(2, 3, 16, 16)
    by_key, by_word = composer.build({**SPEC, "kernels": "reference"}), composer.build(SPEC, kernels="reference")
    again = composer.build(by_word.spec.to_mapping())
    for model in (by_key, by_word, again, copy.deepcopy(by_key), pickle.loads(pickle.dumps(by_key))):
        assert model.spec.kernels == "reference"
        model(x)
        assert not ran
    model = composer.build({**SPEC, "kernels": "reference"}, kernels="fused")
    assert torch.equal(model(x), by_key(x))
    assert len(ran) == 1


def test_another_word_is_refused() -> None:
    with pytest.raises(SpecError, match="kernels"):
        composer.build({**SPEC, "kernels": "slow"})
    with pytest.raises(SpecError, match="kernels"):
        composer.build(SPEC, kernels="slow")
