"""Checks of a mechanism's docstring, shapes, gradients, batches and attention values."""

from __future__ import annotations

import copy
import doctest
import itertools
import re
import sys
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from composer.contract.subject import Failure, Refusal, Subject, close, require, shake
from composer.docstring import SECTIONS
from composer.registry import ANY_MAP

SIZES = ((1, 1), (1, 7), (7, 7), (13, 17), (56, 40))
NEEDS_TWO = "needs a batch of at least 2"


def documented(subject: Subject) -> None:
    """The docstring has its parts in order, and its example passes."""
    doc = subject.entry.doc
    is_python = isinstance(subject.entry.factory, type)
    what = "docstring" if is_python else "`description`"
    heads = [f"{section}:" for section in SECTIONS]
    positions = [doc.find(head) for head in heads]
    missing = [head for head, position in zip(heads, positions, strict=True) if position < 0]
    require(not missing, f"the {what} lacks {', '.join(missing)}; `composer show se` prints one that has all")
    require(positions == sorted(positions), f"the {what} has its parts in another order than {', '.join(heads)}")
    if not is_python:
        # The description of a block in YAML holds no Python.
        return
    require(re.search(r">>> sum\(p\.numel\(\)", doc), "the docstring has no doctest of the number of parameters")
    said: list[str] = []
    factory = subject.entry.factory
    runner = doctest.DocTestRunner(verbose=False)
    names = vars(sys.modules[factory.__module__])
    for test in doctest.DocTestFinder(recurse=False).find(factory, subject.entry.name, module=False, globs=names):
        runner.run(test, out=said.append)
    found = " ".join("".join(said).partition("Expected:")[2].split())
    require(not said, f"the docstring's example is not true: {found}")


def keeps_the_shape(subject: Subject) -> None:
    """On sizes that it takes, its output has the input's shape; in place of a convolution, that of the convolution."""
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
            require(y.shape == x.shape, f"{tuple(x.shape)} becomes {tuple(y.shape)}")
            require(y.isfinite().all(), f"not finite on a map of {height}×{width}")
    if subject.entry.works_on == ANY_MAP:
        _keeps_sequences_and_videos(subject)
    if subject.entry.replaces:
        _has_the_shape_of_a_convolution(subject)
    if refused:
        raise Refusal("; ".join(refused))


def _keeps_sequences_and_videos(subject: Subject) -> None:
    for lengths in ((9,), (3, 5, 4)):
        x = torch.ones(2, subject.channels, *lengths)
        found = tuple(replace(subject, spatial_dims=len(lengths)).build().eval()(x).shape)
        require(found == x.shape, f"it works on `{ANY_MAP}`, and {tuple(x.shape)} becomes {found}")


def _has_the_shape_of_a_convolution(subject: Subject) -> None:
    for kernel_size, stride, (height, width) in itertools.product((1, 3, 5), (1, 2), ((7, 7), (8, 11))):
        conv = {"kernel_size": kernel_size, "stride": stride, "padding": kernel_size // 2, "groups": subject.groups}
        place = {**conv, "dilation": 1, "bias": False}
        x = subject.sample(2, height, width)
        expected = nn.Conv2d(subject.channels, subject.channels, **conv)(x).shape  # type: ignore[arg-type]
        found = subject.build_at(height, width, place).eval()(x).shape
        where = f"{kernel_size}×{kernel_size} convolution of stride {stride} on {height}×{width}"
        require(found == expected, f"in place of a {where} it gives {tuple(found)}, not {tuple(expected)}")


# A relu of few channels may be 0 for all inputs, by chance; hardly with all of these weights.
DRAWS = range(3, 11)


def every_parameter_learns(subject: Subject) -> None:
    """A gradient reaches the input, and every parameter of which the docstring does not say `NAME` gets no gradient."""
    # Such as the bias of logits, which a softmax ignores.
    said = " ".join(subject.entry.doc.split())
    without = {name for name, _ in subject.build().named_parameters() if f"`{name}` gets no gradient" not in said}
    for seed in DRAWS:
        module, x = subject.build().eval(), subject.sample(8).requires_grad_()
        # A parameter that is 0 at the start would stop the gradients of layers before it.
        shake(module, seed=seed)
        module(x).square().sum().backward()
        require(x.grad is not None and x.grad.any(), "no gradient reaches the input")
        without -= {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
        if not without:
            return
    require(False, f"no gradient reaches {', '.join(sorted(without))}")


def gradients_are_right(subject: Subject) -> None:
    """Gradients agree with finite differences, in float64."""
    module = subject.build().double().eval()
    shake(module, 0.3)
    names = [name for name, _ in module.named_parameters()]
    values = [value.detach().requires_grad_() for value in module.parameters()]
    x = subject.sample(2, dtype=torch.float64).requires_grad_()

    def forward(x: Tensor, *parameters: Tensor) -> Any:
        return functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    torch.autograd.gradcheck(forward, (x, *values), fast_mode=True)


def trains(subject: Subject) -> None:
    """A training step on two images has finite gradients."""
    module, x = subject.build().train(), subject.sample().requires_grad_()
    module(x).square().sum().backward()
    require(
        all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters()), "a gradient is not finite"
    )


def trains_on_one(subject: Subject) -> None:
    """A training step on a single image works, or its docstring says `needs a batch of at least 2`."""
    module, x = subject.build().train(), subject.sample(1)
    try:
        y = module(x)
    except ValueError as error:
        if NEEDS_TWO in " ".join(subject.entry.doc.split()):
            raise Refusal(f"in training it {NEEDS_TWO}") from error
        raise Failure(f"{error}; offer another norm and say in the docstring that it {NEEDS_TWO}") from error
    require(y.shape == x.shape, f"{tuple(x.shape)} becomes {tuple(y.shape)}")


def empty_batch(subject: Subject) -> None:
    """A batch of 0 images keeps its shape."""
    module, x = subject.build().eval(), subject.sample(0)
    require(module(x).shape == x.shape, "an empty batch changes its shape")


def deterministic(subject: Subject) -> None:
    """Two runs in eval mode give equal outputs, and change no state."""
    module, x = subject.build().eval(), subject.sample()
    before = copy.deepcopy(module.state_dict())
    require(torch.equal(module(x), module(x)), "two runs in eval mode differ")
    after = module.state_dict()
    require(all(torch.equal(before[name], after[name]) for name in before), "a run in eval mode changes its state")


def leaves_its_input(subject: Subject) -> None:
    """The input is not changed."""
    for training in (False, True):
        x = subject.sample()
        before = x.clone()
        subject.build().train(training)(x)
        require(torch.equal(x, before), "it changes its input")


def samples_do_not_mix(subject: Subject) -> None:
    """Each image of a batch has the same output as alone."""
    module, x = subject.build().eval(), subject.sample(3)
    alone = torch.cat([module(one) for one in x.split(1)])
    close(module(x), alone, "a sample depends on its batch")


def attention(subject: Subject) -> None:
    """`attention(x)` has the batch as its first axis, is finite, and does not change the output.

    Where they are declared as factors, `gate` or `1 + gate`, the output is the input times them; or it is `gated(x)`
    times them, for a mechanism with such a method, whose channels change places. Of a fusion, they are factors of one
    of its tensors, and what it makes of the product and of the others is its own.
    """
    module, x = subject.build().eval(), subject.sample()
    attention = getattr(module, "forward_attention", None) or getattr(module, "attention", None)
    if attention is None:
        raise Refusal("it offers no `attention(x)`")
    before = module(x)
    try:
        values = attention(x)
    except NotImplementedError as error:
        raise Refusal(str(error)) from error
    require(values.shape[0] == x.shape[0], f"attention values of shape {tuple(values.shape)} for a batch of {len(x)}")
    require(values.isfinite().all(), "attention values are not finite")
    require(torch.equal(module(x), before), "asking for its attention values changes its output")
    applied = subject.entry.applied
    if applied in ("gate", "1 + gate") and subject.entry.kind != "fusion":
        gated = getattr(module, "gated", None)
        wanted = (x if gated is None else gated(x)) * values
        fits = wanted.shape == before.shape and torch.allclose(wanted, before, atol=1e-4, rtol=1e-4)
        require(fits, f"the input times its attention values is not its output; `applied` says `{applied}`")
    if applied == "1 + gate":
        require(bool(((values >= 1) & (values <= 2)).all()), "its attention values are not between 1 and 2")
