"""Classes that others derive from those of a network: fully_shard, parametrize and checkpointing swap them in."""

from __future__ import annotations

from torch import nn

_made: dict[tuple[type[nn.Module], ...], type[nn.Module]] = {}


def derive(found: type[nn.Module], old: type[nn.Module], new: type[nn.Module]) -> type[nn.Module]:
    """The class `found` with `new` among its bases in place of `old`; one that does not derive from `old` as it is.

    For classes made at run time, such as FSDP's `FSDPBlock(FSDPModule, Block)`: what they add to `Block` they then add
    to another class. The same three classes always give the same one.
    """
    if found is old:
        return new
    if not issubclass(found, old):
        return found
    if (found, old, new) not in _made:
        bases = tuple(derive(base, old, new) for base in found.__bases__)
        members = {name: one for name, one in found.__dict__.items() if name not in ("__dict__", "__weakref__")}
        _made[found, old, new] = type(found.__name__, bases, members)
    return _made[found, old, new]


def keeps_forward(found: type[nn.Module], composed: type[nn.Module]) -> bool:
    """Whether a class computes what the composed one does, whatever was derived."""
    return issubclass(found, composed) and found.forward is composed.forward
