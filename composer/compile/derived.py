"""Classes that others derive from a network's classes and swap in: by fully_shard, parametrize and checkpointing."""

from __future__ import annotations

from torch import nn

_made: dict[tuple[type[nn.Module], ...], type[nn.Module]] = {}


def derive(found: type[nn.Module], old: type[nn.Module], new: type[nn.Module]) -> type[nn.Module]:
    """The class `found` with `new` among its bases in place of `old`; unchanged if it does not derive from `old`.

    For classes made at run time, such as FSDP's `FSDPBlock(FSDPModule, Block)`: the result adds the same to another
    class. The same three classes always give the same class.
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
    """Whether a derived class still has the forward of the composed class."""
    return issubclass(found, composed) and found.forward is composed.forward
