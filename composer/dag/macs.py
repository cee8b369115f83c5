"""Multiply-accumulates of an operation: counted while it runs on the meta device, or not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.dag.scope import BATCH, Operation, TensorSpec
from composer.registry import ParameterEntry, declared_macs
from composer.torch_private import TorchDispatchMode

# Products of PyTorch that its counter has no formula for and does not take apart: these count as unknown too.
_PRODUCTS = frozenset({"mv", "addmv", "dot", "vdot", "addbmm", "_trilinear", "_cdist_forward"})
_PREFIXES = ("_fft_", "linalg_", "_linalg_")


def macs_of(operation: Operation, inputs: Sequence[TensorSpec]) -> int | None:
    """Multiply-accumulates of one example, by the entry's own rule or counted; None where nobody knows them.

    Of a plugin's operation with parameters that nothing was counted of, they are not known: element by element it may
    do anything.
    """
    entry = operation.entry
    if entry.macs is not None:
        return declared_macs(entry, inputs, operation.arguments)
    if isinstance(entry, ParameterEntry):
        return 0
    if entry.shape is not None:
        # It cannot run on the meta device.
        return None
    with torch.device("meta"):
        made = operation.make()
    found = counted(made, [torch.empty(tensor.shape, device="meta") for tensor in inputs])
    if found is None or (found == 0 and operation.num_parameters and not entry.is_own):
        return None
    return found // BATCH


def counted(run: Callable[..., Any], inputs: Sequence[Tensor]) -> int | None:
    """Multiply-accumulates of `run` on these tensors, on the meta device; None where one of its operations has a cost
    that nobody states.

    PyTorch's counter has formulas for convolutions, matrix products and attention, and takes others apart into them;
    element-wise operations and sums count as 0. An operation of another library (`torch.library.custom_op`) is unknown
    until somebody registers its formula with `torch.utils.flop_counter.register_flop_formula`.
    """
    # Importing it imports triton, and few need multiply-accumulates.
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    # The counter runs outermost, so what it takes apart arrives here in parts.
    with torch.device("meta"), torch.no_grad(), _Seen(flop_registry) as seen, FlopCounterMode(display=False) as counter:
        run(*inputs)
    # The counter counts a multiply and an add as two.
    return None if seen.unknown else counter.get_total_flops() // 2


class _Seen(TorchDispatchMode):
    """Notes the operations that ran and whose cost is not known."""

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
    return namespace in ("aten", "prim", "prims") and name not in _PRODUCTS and not name.startswith(_PREFIXES)


def total(numbers: Iterable[int | None]) -> int | None:
    """The sum of numbers; None, not known, where one of them is not.

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
    """How much more the first is; None where one of them is not known."""
    return None if after is None or before is None else after - before
