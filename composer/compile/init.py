"""Weights that depend on the seed and the path of a node, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import torch

from composer.torch_private import TorchDispatchMode, arguments_of

T = TypeVar("T")


def seed_of(seed: int, path: str) -> int:
    """A stable 63-bit number for a seed and a node path."""
    digest = hashlib.blake2b(f"{seed}:{path}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seeded(seed: int, path: str, make: Callable[[], T]) -> T:
    """What `make` returns, with every random number it draws from torch coming from this seed and path.

    The process's own generator is neither read nor moved: other threads may draw from it meanwhile. Where PyTorch is
    told to make tensors on the meta device, nothing is allocated, let alone drawn.
    """
    default = torch.get_default_device()
    if default.type == "meta":
        return make()
    generator = torch.Generator()
    generator.manual_seed(seed_of(seed, path))
    # PyTorch asks the mode of a device at every call, so it is entered only where it changes something.
    with _Draws(generator), torch.device("cpu") if default.type != "cpu" else nullcontext():
        return make()


class _Draws(TorchDispatchMode):
    """Gives every operation that draws random numbers the one generator. A mode belongs to its thread alone."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = generator

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and options.get("generator") is None:
            func = _with_generator(func)
            options["generator"] = self.generator
        return func(*args, **options)


def _with_generator(func: Any) -> Any:
    """The overload that takes a generator: the operation itself, or `randn.generator` for `randn`."""
    if any(argument.name == "generator" for argument in arguments_of(func)):
        return func
    packet = func.overloadpacket
    wanted = {argument.name for argument in arguments_of(func)} | {"generator"}
    for name in packet.overloads():
        overload = getattr(packet, name)
        if {argument.name for argument in arguments_of(overload)} == wanted:
            return overload
    raise RuntimeError(f"{func} draws random numbers and takes no generator, so its result would not be repeatable")
