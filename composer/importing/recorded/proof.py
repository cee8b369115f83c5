"""Whether a network is a module: the same keys, shapes, dtypes, and with equal weights the same numbers bit by bit."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from composer.hosts.recording.nested import tensors_in
from composer.torch_private import AnyBatchNorm

_BY_MEMORY = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


@dataclass
class Proof:
    """What a comparison found.

    keys     keys that one has and the other has not, or of another shape or dtype
    differs  what gives other numbers: the first module with this path in both; empty if the numbers are equal
    dense    modules whose input lies in memory in the order of its axes, and in the network does not
    """

    keys: list[str] = field(default_factory=list)
    differs: str = ""
    dense: set[str] = field(default_factory=set)

    @property
    def holds(self) -> bool:
        return not self.keys and not self.differs


def proof(model: nn.Module, network: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Proof:
    """Compares a module with the network that was written for it, in evaluation mode, with random weights and inputs.

    args, kwargs  what the module is called with; the network takes its tensors in their order
    """
    found = Proof(_unequal_keys(model.state_dict(), network.state_dict()))
    if found.keys:
        return found
    generator = torch.Generator().manual_seed(0)
    original = _random(model, generator)
    network.load_state_dict(original.state_dict())
    network.eval()
    given = _tensors((tuple(args), dict(kwargs)), generator)
    inputs = [tensor for _, tensor in tensors_in(given)]
    with torch.no_grad(), _seen(original) as theirs:
        wanted = [tensor for _, tensor in tensors_in(original(*given[0], **given[1]))]
    with torch.no_grad(), _seen(network) as ours:
        gives = [tensor for _, tensor in tensors_in(network(*inputs))]
    if len(wanted) == len(gives) and all(map(torch.equal, wanted, gives)):
        return found
    common = (path for path in theirs if path in ours)
    unequal = [path for path in common if not torch.equal(theirs[path].result, ours[path].result)]
    found.differs = unequal[0] if unequal else "the output"
    found.dense = {path for path in theirs if path in ours and theirs[path].dense and not ours[path].dense}
    return found


def _unequal_keys(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    names = dict.fromkeys([*theirs, *ours])
    facts = [{name: (one.shape, one.dtype) for name, one in state.items()} for state in (theirs, ours)]
    return [name for name in names if facts[0].get(name) != facts[1].get(name)]


def _random(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy whose scales, shifts and statistics are random too: at their start, a scale of 0 would hide a branch."""
    made = copy.deepcopy(model)
    if any(one.is_meta for one in (*made.parameters(), *made.buffers())):
        raise ValueError("a module on meta has no numbers to compare")
    with torch.no_grad():
        for one in made.parameters():
            if one.ndim <= 1:
                one.add_(0.1 * torch.randn(one.shape, generator=generator))
        for module in made.modules():
            if isinstance(module, AnyBatchNorm) and module.running_mean is not None:
                module.running_mean.add_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
    return made.eval()


def _tensors(value: Any, generator: torch.Generator) -> Any:
    if isinstance(value, Tensor):
        return torch.randn(value.shape, generator=generator) if value.is_floating_point() else torch.zeros_like(value)
    if type(value) in (tuple, list):
        return type(value)(_tensors(one, generator) for one in value)
    return {key: _tensors(one, generator) for key, one in value.items()} if isinstance(value, Mapping) else value


@dataclass
class _Call:
    result: Tensor
    dense: bool


@contextlib.contextmanager
def _seen(model: nn.Module) -> Iterator[dict[str, _Call]]:
    """Path -> the first result of each module with weights, and whether its input is contiguous."""
    found: dict[str, _Call] = {}

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            if isinstance(result, Tensor) and path not in found:
                first = next((one for one in args if isinstance(one, Tensor)), result)
                dense = not isinstance(module, _BY_MEMORY) or first.is_contiguous()
                # Activations may later write into the tensor.
                found[path] = _Call(result.clone(), dense)

        return hook

    handles = [
        module.register_forward_hook(note(path))
        for path, module in model.named_modules()
        if next(module.parameters(), None) is not None
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
