"""Which axes of a network's inputs may vary, and which node stands against it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from composer.errors import Diagnostic
from composer.exporting import blame
from composer.exporting.subject import Subject, replaced
from composer.foreign import is_error
from composer.hosts.recording.nested import tensors_in

# How much higher and wider the other image is on which a network is tried: multiples of all usual strides. Never
# more than twice the size, which is the largest where memory is planned.
HIGHER, WIDER = 32, 64
HEIGHT_AND_WIDTH = frozenset("hw")
ONE_SIZE = "the file takes images of the given size alone"
ONE_BATCH = "the file takes batches of the given size alone"


@dataclass(frozen=True)
class Varying:
    """The axes that may vary in the file, and why others do not.

    axes     of b, h and w
    reasons  a problem for each group of axes that does not vary, with the node that stands against it
    """

    axes: frozenset[str]
    reasons: tuple[Diagnostic, ...] = ()

    def without(self, axes: frozenset[str], reason: Diagnostic) -> Varying:
        """The same without these axes, for a reason."""
        return Varying(self.axes - axes, (*self.reasons, replace(reason, severity="warning")))

    @property
    def words(self) -> str:
        """The axes that vary, in words."""
        names = [word for name, word in (("b", "batch"), ("h", "height"), ("w", "width")) if name in self.axes]
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nothing"


def asked(subject: Subject) -> Varying:
    """The axes of b, h and w that the network's inputs have."""
    return Varying(frozenset(name for axes in subject.axes for name in axes.values()))


def tried(subject: Subject) -> Varying:
    """The axes that may vary as far as a run of the network on a larger image tells. It computes nothing if the
    network is on the meta device.
    """
    found = asked(subject)
    if not found.axes & HEIGHT_AND_WIDTH:
        return found
    try:
        with torch.no_grad(), _silent():
            # The batch stays: a network may take another size, and no other batch.
            subject.outputs(subject.sized(lambda axis, n: n if axis == "b" else larger(axis, n)))
    except BaseException as error:
        if not is_error(error):
            raise
        return found.without(HEIGHT_AND_WIDTH, refused(subject, error))
    return found


def refused(subject: Subject, error: BaseException) -> Diagnostic:
    """The problem of the node that refused an image of another size."""
    path = blame.ran_last(subject, error)
    where = "a node" if not path else blame.named(subject, path)
    text = f"{where} takes no other size: {blame.first_line(error)}"
    return blame.at_node(subject, path, text, label=ONE_SIZE)


def larger(axis: str, length: int) -> int:
    """A batch of one and a larger image."""
    return {"b": 1, "h": length + min(HIGHER, length), "w": length + min(WIDER, length)}[axis]


def shapes_of(subject: Subject, varying: Varying, bounded: bool) -> tuple[object, ...]:
    """`dynamic_shapes` for torch.export: for each tensor, number of an axis -> how it varies."""
    Dim = torch.export.Dim
    every = iter(zip(subject.tensors, subject.axes, strict=True))

    def one(_: Tensor) -> Mapping[int, object]:
        tensor, axes = next(every)
        kept = {at: name for at, name in axes.items() if name in varying.axes}
        if not bounded:
            return {at: Dim.DYNAMIC(min=1) for at in kept}
        return {at: Dim.DYNAMIC(min=1, max=bound(name, tensor.shape[at])) for at, name in kept.items()}

    args = replaced(subject.args, one)
    return (*args, *replaced(dict(subject.kwargs), one).values())


def bound(axis: str, length: int) -> int:
    """The largest length of an axis in a file that plans its memory: 8 examples, images of twice the side."""
    return 8 if axis == "b" else 2 * length


class Culprit:
    """Notes, while a network is recorded, after which module an axis that should vary had become a constant."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.path: str | None = None
        self.tensors: list[Tensor] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the network is recorded in this context."""
        hooks = [self.module.register_forward_pre_hook(self._begins, with_kwargs=True, prepend=True)]
        for path, one in self.module.named_modules():
            hooks.append(one.register_forward_hook(lambda *_, path=path: self._ran(path)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _begins(self, module: nn.Module, args: object, kwargs: object) -> None:
        self.tensors = [one for _, one in [*tensors_in(args), *tensors_in(kwargs)]]

    def _ran(self, path: str) -> None:
        if self.path is None and any(_is_constant(n) for one in self.tensors for n in one.shape):
            self.path = path


def _is_constant(length: object) -> bool:
    """Whether a length that was a symbol has become a number."""
    node = getattr(length, "node", None)
    return node is not None and bool(getattr(node.expr, "is_number", False))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
