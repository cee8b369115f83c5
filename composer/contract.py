"""What every mechanism must do, as a battery that runs on any registered one: ours in the tests, yours by `check`."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from composer.registry import Entry

SIZES = ((1, 1), (1, 7), (7, 7), (13, 17), (56, 40))
SECTIONS = ("Shape:", "Math:", "Params:", "MACs:", "Source:", "Departs:")


class Refusal(Exception):
    """A mechanism says, before it runs or with a clear error, that it does not do this; the message is its reason."""


@dataclass(frozen=True)
class Verdict:
    """What one check found: `ok`, `refused` with the mechanism's own reason, or `failed`."""

    check: str
    status: Literal["ok", "refused", "failed"]
    detail: str = ""


@dataclass(frozen=True)
class Subject:
    """A mechanism with the options it is checked with."""

    entry: Entry
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: int = 1
    channels: int = 64

    def build(self, height: int = 7, width: int = 7) -> nn.Module:
        """The mechanism as at a place of this size. Raises Refusal with the message of its own ValueError."""
        place = {
            "channels": self.channels,
            "height": height,
            "width": width,
            "tokens": height * width,
            "in_channels": self.channels,
            "out_channels": self.channels,
            "kernel_size": 3,
            "stride": 1,
            "padding": 1,
            "dilation": 1,
            "groups": self.groups,
            "bias": False,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                facts = {name: place[name] for name in self.entry.facts}
                module: nn.Module = self.entry.factory(**facts, **self.options)
            except ValueError as error:
                raise Refusal(str(error)) from error
        return module

    def sample(self, batch: int = 2, height: int = 7, width: int = 7, dtype: torch.dtype = torch.float32) -> Tensor:
        """Random input for such a place."""
        c = self.channels
        shape = (batch, height * width, c) if self.is_token else (batch, c, height, width)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        return x.to(dtype)

    @property
    def is_token(self) -> bool:
        """Whether it works on b n c."""
        return self.entry.layout == "b n c"


Check = Callable[[Subject], None]


def run(subject: Subject, only: str = "*") -> Iterator[Verdict]:
    """Every check on a mechanism, one after the other; `only` names one."""
    for name, check in CHECKS.items():
        if only in ("*", name):
            yield verdict(subject, name, check)


def verdict(subject: Subject, name: str, check: Check) -> Verdict:
    """One check on a mechanism."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(subject)
    except Refusal as refusal:
        return Verdict(name, "refused", str(refusal))
    except Exception as error:
        text = next(iter(str(error).splitlines()), "")
        return Verdict(name, "failed", text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}")
    return Verdict(name, "ok")


def _documented(subject: Subject) -> None:
    doc = subject.entry.doc
    positions = [doc.find(section) for section in SECTIONS]
    missing = [section for section, position in zip(SECTIONS, positions, strict=True) if position < 0]
    assert not missing, f"the docstring lacks {', '.join(missing)}"
    assert positions == sorted(positions), f"the docstring has its parts in another order than {', '.join(SECTIONS)}"
    assert re.search(r">>> sum\(p\.numel\(\)", doc), "the docstring has no doctest of the number of parameters"


def _keeps_the_shape(subject: Subject) -> None:
    refused = []
    for height, width in SIZES:
        try:
            module = subject.build(height, width).eval()
        except Refusal as refusal:
            refused.append(str(refusal))
            continue
        for batch in (1, 2):
            x = subject.sample(batch, height, width)
            y = module(x)
            assert y.shape == x.shape, f"{tuple(x.shape)} becomes {tuple(y.shape)}"
            assert y.isfinite().all(), f"not finite on a map of {height}×{width}"
    if refused:
        raise Refusal("; ".join(refused))


def _every_parameter_learns(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample(8).requires_grad_()
    # What starts at 0 on purpose would hide what stands before it.
    _shake(module)
    module(x).square().sum().backward()
    without = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without, f"no gradient reaches {', '.join(without)}"
    assert x.grad is not None, "no gradient reaches the input"
    assert x.grad.any(), "no gradient reaches the input"


def _gradients_are_right(subject: Subject) -> None:
    module = subject.build().double().eval()
    _shake(module, 0.3)
    names = [name for name, _ in module.named_parameters()]
    values = [value.detach().requires_grad_() for value in module.parameters()]
    x = subject.sample(2, dtype=torch.float64).requires_grad_()

    def forward(x: Tensor, *parameters: Tensor) -> Any:
        return functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    torch.autograd.gradcheck(forward, (x, *values), fast_mode=True)


def _trains(subject: Subject) -> None:
    module, x = subject.build().train(), subject.sample().requires_grad_()
    module(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters()), "a gradient is not finite"


def _trains_on_one(subject: Subject) -> None:
    module, x = subject.build().train(), subject.sample(1)
    try:
        y = module(x)
    except ValueError as error:
        if "needs a batch of at least 2" in " ".join(subject.entry.doc.split()):
            raise Refusal("in training it needs a batch of at least 2") from error
        raise
    assert y.shape == x.shape, f"{tuple(x.shape)} becomes {tuple(y.shape)}"


def _empty_batch(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample(0)
    assert module(x).shape == x.shape, "an empty batch changes its shape"


def _deterministic(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample()
    before = copy.deepcopy(module.state_dict())
    assert torch.equal(module(x), module(x)), "two runs in eval mode differ"
    after = module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "a run in eval mode changes its state"


def _leaves_its_input(subject: Subject) -> None:
    for training in (False, True):
        x = subject.sample()
        before = x.clone()
        subject.build().train(training)(x)
        assert torch.equal(x, before), "it changes its input"


def _samples_do_not_mix(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample(3)
    alone = torch.cat([module(one) for one in x.split(1)])
    _close(module(x), alone, "a sample depends on its batch")


def _memory_formats(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample()
    expected = module(x)
    strided = torch.stack([x, x], -1)[..., 0]
    _close(module(strided), expected, "a non-contiguous input gives something else")
    if x.ndim == 4:
        _close(module(x.to(memory_format=torch.channels_last)), expected, "channels_last gives something else")


def _half_precision(subject: Subject) -> None:
    for training in (False, True):
        module, x = subject.build().to(torch.bfloat16).train(training), subject.sample(dtype=torch.bfloat16)
        y = module(x.requires_grad_())
        assert y.dtype == torch.bfloat16, f"bfloat16 becomes {y.dtype}"
        y.float().square().sum().backward()
        assert y.isfinite().all(), "not finite in bfloat16"
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters()), "a bfloat16 gradient"


def _scales(subject: Subject) -> None:
    for scale in (1e-4, 1e-2, 1.0, 1e2, 1e4):
        x = subject.sample() * scale
        module = subject.build().eval()
        if not module(x).isfinite().all():
            continue
        with torch.autocast("cpu", torch.bfloat16):
            assert module(x).isfinite().all(), f"not finite under autocast at a scale of {scale:g}"
        half = subject.build().to(torch.bfloat16).eval()
        assert half(x.to(torch.bfloat16)).isfinite().all(), f"not finite in bfloat16 at a scale of {scale:g}"


def _copies(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample()
    _shake(module)
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected), "its deep copy computes something else"
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected), "pickled and read back it differs"
    other = subject.build().eval()
    other.load_state_dict(module.state_dict(), strict=True)
    assert torch.equal(other(x), expected), "its state_dict does not hold all of it"


def _attention(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample()
    attention = getattr(module, "attention", None)
    if attention is None:
        raise Refusal("it offers no `attention(x)`")
    before = module(x)
    try:
        values = attention(x)
    except NotImplementedError as error:
        raise Refusal(str(error)) from error
    assert values.shape[0] == x.shape[0], f"attention values of shape {tuple(values.shape)} for a batch of {len(x)}"
    assert values.isfinite().all(), "attention values are not finite"
    assert torch.equal(module(x), before), "asking for its attention values changes its output"


def _meta(subject: Subject) -> None:
    with torch.device("meta"):
        module = subject.build()
    x = subject.sample().to("meta")
    assert module(x).shape == x.shape, "it runs otherwise on the meta device"
    real = [name for name, tensor in module.state_dict().items() if tensor.device.type != "meta"]
    assert not real, f"on the meta device it allocates {', '.join(real)}"


def _compiles(subject: Subject) -> None:
    torch.compiler.reset()
    module, x = subject.build().eval(), subject.sample()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    _close(compiled(x), module(x), "compiled it computes something else")


def _exports(subject: Subject) -> None:
    module, x = subject.build().eval(), subject.sample()
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    other = subject.sample(5)
    _close(program.module()(other), module(other), "exported it computes something else")


def _exports_to_onnx(subject: Subject) -> None:
    try:
        import onnxruntime  # type: ignore[import-untyped]
        import onnxscript  # noqa: F401, torch's exporter imports it
    except ImportError as error:
        raise Refusal(f"`{error.name}` is not installed; pip install 'attention-composer[export]'") from error
    module, x = subject.build().eval(), subject.sample()
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(module, (x,), dynamo=True, dynamic_shapes=dynamic, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    other = subject.sample(5)
    (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    _close(torch.from_numpy(found), module(other), "in onnxruntime it computes something else", 1e-4)


def _shake(module: nn.Module, amount: float = 0.1) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype), alpha=amount)


def _close(found: Tensor, expected: Tensor, otherwise: str, tolerance: float = 1e-5) -> None:
    scale = expected.abs().max().clamp_min(1)
    difference = ((found - expected).abs().max() / scale).item()
    assert difference <= tolerance, f"{otherwise} (by {difference:.1e})"


CHECKS: Mapping[str, Check] = {
    "documented": _documented,
    "keeps the shape": _keeps_the_shape,
    "every parameter learns": _every_parameter_learns,
    "gradients are right": _gradients_are_right,
    "trains": _trains,
    "trains on one image": _trains_on_one,
    "empty batch": _empty_batch,
    "deterministic": _deterministic,
    "leaves its input": _leaves_its_input,
    "samples do not mix": _samples_do_not_mix,
    "memory formats": _memory_formats,
    "half precision": _half_precision,
    "scales 1e-4 to 1e4": _scales,
    "copies": _copies,
    "attention values": _attention,
    "meta device": _meta,
    "torch.compile": _compiles,
    "torch.export": _exports,
    "ONNX": _exports_to_onnx,
}
