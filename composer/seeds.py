"""Weights that depend only on the seed and the path of a node."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from enum import Enum
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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


class Draws(Enum):
    """What draws random numbers while a module is made.

    OURS   only functions that ask `generator()`
    NAMED  also functions of PyTorch that are called by name in Python and that `generator=` steers: `torch.randn`,
           `nn.init.normal_` and the like
    ANY    whatever PyTorch does
    """

    OURS = "ours"
    NAMED = "named"
    ANY = "any"


def seeded(seed: int, path: str, make: Callable[[], T], draws: Draws = Draws.ANY) -> T:
    """The result of `make`, with all of torch's random numbers drawn from this seed and path.

    The generator of the process is neither read nor changed, because other threads may use it. If PyTorch makes tensors
    on the meta device, nothing is allocated or drawn. The less `draws` says, the less must be watched: each operation,
    which takes longer than most of them; each call of a function; or nothing. The numbers are the same.
    """
    default = torch.get_default_device()
    if default.type == "meta":
        return make()
    own = torch.Generator()
    own.manual_seed(seed_of(seed, path))
    token = _generator.set(own if draws is Draws.OURS else None)
    try:
        # A mode slows every call, so each is entered only if it changes something.
        with _WATCHES[draws](own), torch.device("cpu") if default.type != "cpu" else nullcontext():
            return make()
    finally:
        _generator.reset(token)


class _NamedDraws(TorchFunctionMode):
    """Gives its generator to every function that draws random numbers and is called by name, in its own thread only."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func in _DRAWING and options.get("generator") is None:
            options = {**options, "generator": self.generator}
        return func(*args, **options)


_DRAWING = frozenset(
    {
        *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial),
        *(Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.random_, Tensor.exponential_, Tensor.log_normal_),
        # The functions of nn.init that do not call one of these in sight of the mode.
        *(nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_),
    }
)


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


_WATCHES: Mapping[Draws, Callable[[torch.Generator], contextlib.AbstractContextManager[Any]]] = {
    Draws.OURS: nullcontext,
    Draws.NAMED: _NamedDraws,
    Draws.ANY: _Draws,
}
