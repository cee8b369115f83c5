"""Multiply-accumulates of an operation, counted while it runs on the meta device; None if not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.dag.operation import Operation
from composer.dag.tensor import BATCH, TensorSpec
from composer.registry import ParameterEntry, declared_macs
from composer.torch_private import TorchDispatchMode

# Products for which PyTorch's counter has no formula, and which it does not decompose: their cost is unknown.
_PRODUCTS = frozenset({"mv", "addmv", "dot", "vdot", "addbmm", "_trilinear", "_cdist_forward"})
_PREFIXES = ("_fft_", "linalg_", "_linalg_")
# What `x.norm()` is: a sum of squares, which costs nothing as other sums do.
_SUMS = frozenset({"linalg_vector_norm"})


def macs_of(operation: Operation, inputs: Sequence[TensorSpec]) -> int | None:
    """Multiply-accumulates of an operation per example, by the entry's own rule or counted; None if not known.

    If 0 are counted for a plugin's operation with parameters, they are not known: its element-wise code may do
    anything.
    """
    entry = operation.entry
    if not entry.counted:
        return 0
    if entry.macs is not None:
        return declared_macs(entry, inputs, operation.arguments)
    if isinstance(entry, ParameterEntry):
        return 0
    if entry.shape is not None:
        # Such an operation cannot run on the meta device.
        return None
    with torch.device("meta"):
        made = operation.make()
    tensors = [torch.empty(tensor.shape, device="meta") for tensor in inputs]
    found = counted(lambda *given: entry.run(made, given), tensors)
    if found is None or (found == 0 and entry.may_hide_cost(made)):
        return None
    return found // BATCH


def counted(run: Callable[..., Any], inputs: Sequence[Tensor]) -> int | None:
    """Multiply-accumulates of `run` on these tensors, on the meta device; None if the cost of an operation is unknown.

    PyTorch's counter has formulas for convolutions, matrix products and attention, and decomposes other operations into
    these. Element-wise operations and sums count as 0. An operation of another library (`torch.library.custom_op`) is
    unknown until its formula is registered with `torch.utils.flop_counter.register_flop_formula`.
    """
    # This import imports triton, so it waits until costs are needed.
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    # The counter runs outermost, so `seen` gets the decomposed operations.
    with torch.device("meta"), torch.no_grad(), _Seen(flop_registry) as seen, FlopCounterMode(display=False) as counter:
        run(*inputs)
    # The counter counts a multiply-add as two.
    return None if seen.unknown else counter.get_total_flops() // 2


class _Seen(TorchDispatchMode):
    """Notes the operations that ran and have no known cost."""

    def __init__(self, formulas: Mapping[Any, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.formulas = formulas
        self.unknown: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        operation = getattr(func, "overloadpacket", func)
        if operation not in self.formulas and not _costs_nothing(operation):
            self.unknown.add(str(operation))
        return func(*args, **(kwargs or {}))


def _costs_nothing(operation: Any) -> bool:
    namespace, _, name = getattr(operation, "_qualified_op_name", "").partition("::")
    if namespace not in ("aten", "prim", "prims"):
        return False
    return name in _SUMS or (name not in _PRODUCTS and not name.startswith(_PREFIXES))


def total(numbers: Iterable[int | None]) -> int | None:
    """The sum of numbers; None if a number is None, which means not known.

    >>> total([1, 2]), total([1, None])
    (3, None)
    """
    found = 0
    for number in numbers:
        if number is None:
            return None
        found += number
    return found


def growth(after: int | None, before: int | None) -> int | None:
    """`after` minus `before`; None if either is None."""
    return None if after is None or before is None else after - before
