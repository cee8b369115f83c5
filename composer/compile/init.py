"""Weights that depend only on the seed and the path of a node."""

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
    """The result of `make`, with all of torch's random numbers drawn from this seed and path.

    The generator of the process is neither read nor changed, because other threads may use it. If PyTorch makes tensors
    on the meta device, nothing is allocated or drawn.
    """
    default = torch.get_default_device()
    if default.type == "meta":
        return make()
    generator = torch.Generator()
    generator.manual_seed(seed_of(seed, path))
    # A device mode slows every call, so it is entered only if it changes something.
    with _Draws(generator), torch.device("cpu") if default.type != "cpu" else nullcontext():
        return make()


class _Draws(TorchDispatchMode):
    """Gives its generator to every operation that draws random numbers, in its own thread only."""

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
    """The overload of an operation that takes a generator: itself, or for example `randn.generator` for `randn`."""
    if any(argument.name == "generator" for argument in arguments_of(func)):
        return func
    packet = func.overloadpacket
    wanted = {argument.name for argument in arguments_of(func)} | {"generator"}
    for name in packet.overloads():
        overload = getattr(packet, name)
        if {argument.name for argument in arguments_of(overload)} == wanted:
            return overload
    raise RuntimeError(f"{func} draws random numbers and takes no generator, so its result would not be repeatable")
