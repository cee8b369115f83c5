"""Weights that depend only on the seed and the path of a node."""

from __future__ import annotations

import contextvars
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import torch

from composer.torch_private import TorchDispatchMode, arguments_of

T = TypeVar("T")

# What weights are drawn from where only composer's own functions draw; None is the generator of the process.
_generator: contextvars.ContextVar[torch.Generator | None] = contextvars.ContextVar("generator", default=None)


def generator() -> torch.Generator | None:
    """The generator that composer's own functions must draw from; None for that of the process."""
    return _generator.get()


def seed_of(seed: int, path: str) -> int:
    """A stable 63-bit number for a seed and a node path."""
    digest = hashlib.blake2b(f"{seed}:{path}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seeded(seed: int, path: str, make: Callable[[], T], *, only_ours: bool = False) -> T:
    """The result of `make`, with all of torch's random numbers drawn from this seed and path.

    The generator of the process is neither read nor changed, because other threads may use it. If PyTorch makes tensors
    on the meta device, nothing is allocated or drawn. With `only_ours`, whatever draws must ask `generator()`: then not
    every operation needs to be watched, which takes longer than most of them.
    """
    default = torch.get_default_device()
    if default.type == "meta":
        return make()
    own = torch.Generator()
    own.manual_seed(seed_of(seed, path))
    token = _generator.set(own if only_ours else None)
    try:
        # A mode slows every call, so each is entered only if it changes something.
        with (
            nullcontext() if only_ours else _Draws(own),
            torch.device("cpu") if default.type != "cpu" else nullcontext(),
        ):
            return make()
    finally:
        _generator.reset(token)


class _Draws(TorchDispatchMode):
    """Gives its generator to every operation that draws random numbers, in its own thread only."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = generator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here: without PyTorch's guard, an operation takes a third, and dynamo is not imported."""
        return False

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
