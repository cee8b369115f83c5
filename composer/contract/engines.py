"""Checks of a mechanism with common tools for networks: checkpointing, ensembles, tracers and quantisers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils.checkpoint import checkpoint

from composer.contract.subject import Failure, Refusal, Subject, close, require, shake

# The greatest allowed error by rounding to 8 bits, relative to the output (root mean squares). Composer's mechanisms
# stay below 0.04 with their defaults; `mhsa` with `mode: hard`, which chooses positions by comparison, reaches 0.21.
NOISE = 0.3
ONE_FOR_EACH_CALL = "a layer that `forward` runs more than once is made once for each call"


def checkpoints(subject: Subject) -> None:
    """Under checkpointing, which runs it again in the backward pass, output and gradients have the same bits."""
    found, expected = (_trained(subject, again) for again in (True, False))
    for name, gradient in expected.items():
        require(torch.equal(found[name], gradient), f"checkpointed, {name} is another")


def _trained(subject: Subject, again: bool) -> dict[str, Tensor]:
    """The output and the gradients of a training step, by name."""
    module, x = subject.build().train(), subject.sample().requires_grad_()
    shake(module)
    torch.manual_seed(0)
    y = checkpoint(module, x, use_reentrant=False) if again else module(x)
    y.square().sum().backward()
    named = {f"the gradient of {name}": one.grad for name, one in module.named_parameters()}
    found = {"the output": y, **named, "the gradient of the input": x.grad}
    return {name: one for name, one in found.items() if one is not None}


def ensembles(subject: Subject) -> None:
    """Under torch.vmap, two copies with stacked weights and different images compute the same as each copy alone."""
    models = [subject.build().eval() for _ in range(2)]
    shake(models[1])
    parameters, buffers = stack_module_state(models)
    x = torch.stack([subject.sample(), subject.sample().flip(0)])

    def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        y: Tensor = functional_call(models[0], (parameters, buffers), (x,))
        return y

    with torch.no_grad():
        found = torch.vmap(call)(parameters, buffers, x)
    loss = torch.func.grad(lambda *given: call(*given).square().sum())
    gradients = torch.vmap(loss)(parameters, buffers, x) if parameters else {}
    for index, model in enumerate(models):
        y = model(x[index])
        close(found[index], y, "under vmap it computes something else")
        if gradients:
            y.square().sum().backward()
        for name, one in model.named_parameters():
            if one.grad is not None:
                close(gradients[name][index], one.grad, f"under vmap the gradient of {name} is another", 1e-4)


def is_recorded(subject: Subject) -> None:
    """A trace by torch.jit.trace computes the same output, also for another input."""
    module = subject.build().eval()
    shake(module)
    recorded = torch.jit.trace(module, subject.sample(), check_trace=False)
    other = -subject.sample()
    close(recorded(other), module(other), "recorded by torch.jit.trace it computes something else")


def is_quantised_dynamically(subject: Subject) -> None:
    """torch's quantize_dynamic quantises every nn.Linear in it, with an error of the output of at most NOISE."""
    module, x = subject.build().eval(), subject.sample()
    shake(module)
    expected = module(x)
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(module), {nn.Linear}, dtype=torch.qint8)
    left = [name for name, one in quantised.named_modules() if isinstance(one, nn.Linear)]
    require(not left, f"quantize_dynamic leaves {', '.join(left)}, of a class of its own, in float")
    _is_near(quantised(x), expected, "quantize_dynamic")


def is_quantised(subject: Subject) -> None:
    """torchao quantises its exported program (PT2E, for X86), with an error of the output of at most NOISE."""
    try:
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e  # type: ignore[import-untyped]
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86  # type: ignore[import-untyped]
    except ImportError as error:
        raise Refusal(f"`{error.name}` is not installed; pip install 'attention-composer[engines]'") from error
    module, x = subject.build().eval(), subject.sample()
    shake(module)
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    program = torch.export.export(module, (x,)).module()
    with torch.no_grad():
        try:
            prepared = prepare_pt2e(program, quantizer)
        except ValueError as error:
            raise Failure(f"torchao refuses it: {error}; {ONE_FOR_EACH_CALL}") from error
        prepared(x)
        _is_near(convert_pt2e(prepared)(x), module(x), "PT2E")


def _is_near(found: Tensor, expected: Tensor, how: str) -> None:
    require(found.shape == expected.shape, f"{how} makes {tuple(found.shape)} of {tuple(expected.shape)}")
    noise = ((found - expected).square().mean() / expected.square().mean()).sqrt().item()
    require(noise <= NOISE, f"quantised by {how} its output is {noise:.0%} noise")
