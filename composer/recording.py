"""Records attention values of a network while it runs, without a change to its results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from composer import given, registry
from composer.shared import Shared
from composer.torch_private import is_compiled


@contextlib.contextmanager
def record(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect `attention(x)` of each mechanism, by path, in all forward passes inside the `with` block.

    model  any module; layers with attention of their own, such as Swin's windows, are recorded too, and blocks that
           rules use and that have an output `attention`

    Yields a dict path -> values: batch first, in the shape that the mechanism documents; several passes are joined
    along the batch. The values are computed beside the forward pass, without gradients: outputs stay the same bit for
    bit, as do batch statistics and random numbers, and softmax attention stays fused. Compiled code may run no hooks;
    if none ran, leaving the block raises ValueError. Raises InputError for what is no module.

    >>> from composer.mechanisms.channel.se import SqueezeExcitation
    >>> model = nn.Sequential(SqueezeExcitation(8))
    >>> with record(model) as values:
    ...     _ = model(torch.zeros(2, 8, 5, 5))
    >>> {path: tuple(value.shape) for path, value in values.items()}
    {'0': (2, 8, 1, 1)}
    """
    if not isinstance(model, nn.Module):
        raise given.wrong("model", model, "an nn.Module")
    values: dict[str, Tensor] = {}
    found = _mechanisms(model)
    handles = [module.register_forward_pre_hook(_recorder(path, values)) for path, module in found]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()
    compiled = [path for path, _ in found if _is_compiled(model, path)]
    if compiled and values.keys().isdisjoint(compiled):
        raise ValueError(
            f"composer.record: compiled code gave no values of `{compiled[0]}`; record the module that was compiled, "
            'or run the block inside `torch.compiler.set_stance("force_eager")`'
        )


def _is_compiled(model: nn.Module, path: str) -> bool:
    """Whether a module, or a module around it, went through torch.compile."""
    names = path.split(".") if path else []
    around = [model.get_submodule(".".join(names[:count])) for count in range(len(names) + 1)]
    return any(map(is_compiled, around))


def _mechanisms(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules with attention, by path. A module inside another is its part, such as CBAM's halves, and left out."""
    kinds = {entry.factory for entry in registry.entries() if entry.has_attention}
    # A module that several places call is recorded at each of them, not where its weights are.
    lent = {id(one.module) for one in model.modules() if isinstance(one, Shared)}
    found: list[tuple[str, nn.Module]] = []
    for path, module in model.named_modules():
        outer = found[-1][0] if found else None
        inside = outer is not None and (outer == "" or path.startswith(f"{outer}."))
        if (type(_own(module)) in kinds or _is_block(_own(module))) and not inside and id(module) not in lent:
            found.append((path, module))
    return found


def _is_block(module: nn.Module) -> bool:
    """Whether it is of the class of a block with an output `attention`."""
    return hasattr(module, "forward_attention")


def _own(module: nn.Module) -> nn.Module:
    """The module, or the one that it calls in its place."""
    return module.module if isinstance(module, Shared) else module


def _recorder(path: str, values: dict[str, Tensor]) -> Any:
    def note(module: Any, inputs: tuple[Any, ...]) -> None:
        # Before the forward pass, because the module may overwrite its input.
        value = _attention(_own(module), inputs)
        if value is not None:
            values[path] = torch.cat([values[path], value]) if path in values else value

    return note


def _attention(module: Any, inputs: tuple[Any, ...]) -> Tensor | None:
    """The module's attention values; its buffers and the random state stay as they were. None if it has none."""
    attention = getattr(module, "forward_attention", None) or getattr(module, "attention", None)
    if attention is None:
        # A view that reads a tensor inside a block shares the block's hooks, and has another class.
        return None
    before = {name: buffer.clone() for name, buffer in module.named_buffers()} if module.training else {}
    devices = sorted({one.device.index or 0 for one in inputs if isinstance(one, Tensor) and one.is_cuda})
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            value: Tensor = attention(*inputs)
    except NotImplementedError:
        # With some options there is no attention: SplAt at radix 0 is a plain convolution.
        return None
    finally:
        for name, buffer in module.named_buffers():
            if name in before:
                buffer.copy_(before[name])
    return value
