"""Functions that move, split, join or sum axes, as steps of a spec."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.importing.recorded.call import Call, Rule
from composer.importing.recorded.scope import Unknown
from composer.importing.recorded.views import View
from composer.layers.offsets import entries_of, offsets


def _reshaped(call: Call) -> View:
    return call.scribe.reshaped(call.first, call.shape)


def _passed(call: Call) -> View:
    if call.first.shape != call.shape:
        raise Unknown("it changes the shape")
    return call.first


def _contiguous(call: Call) -> View:
    scribe, view = call.scribe, call.first
    if not scribe.exact or view.is_plain:
        return _passed(call)
    written = scribe.written(view, {3: "b n c", 4: "b c h w"}.get(len(view.shape)))
    return View(scribe.add("contiguous", {}, [written]).ref, written.parts, written.axes)


def _cast(call: Call) -> View:
    for one in (*call.given[1:], *call.named.values()):
        if isinstance(one, torch.dtype) and one is not torch.float32:
            raise Unknown(f"to {one}")
    return _passed(call)


def _permuted(call: Call) -> View:
    order = call.dims(1, "dims")
    if order is None:
        raise Unknown("its axes are not numbers")
    return call.first.permuted(order)


def _transposed(call: Call) -> View:
    one, other = call.argument(1, "dim0"), call.argument(2, "dim1")
    order = list(range(len(call.first.shape)))
    order[one], order[other] = order[other], order[one]
    return call.first.permuted(order)


def _turned(call: Call) -> View:
    order = list(range(len(call.first.shape)))
    return call.first.permuted([*order[:-2], order[-1], order[-2]])


def _expanded(call: Call) -> View:
    return call.first.expand(call.shape)


def offsets_of(index: Tensor, entries: int) -> dict[str, Any] | None:
    """The options of `by_offset` that give these indices into a table; None if there are none."""
    for stride in (1, 2):
        for rows in range(1, entries + 1):
            for columns in {rows, *(() if entries % rows else (entries // rows,))}:
                for signed in (True, False):
                    if entries_of((rows, columns), signed) != entries:
                        continue
                    computed = offsets((rows, columns), signed, stride, index.device).flatten()
                    if computed.shape == index.shape and torch.equal(computed, index):
                        found: dict[str, Any] = {"window": [rows, columns]}
                        return found | ({} if signed else {"signed": False}) | ({"stride": 2} if stride == 2 else {})
    return None


def _concat(call: Call) -> View:
    tensors = call.argument(0, "tensors")
    dim = call.argument(1, "dim", 0) % len(call.shape)
    return call.scribe.concat(list(tensors), dim)


def _stacked(call: Call) -> View:
    dim = call.argument(1, "dim", 0) % len(call.shape)
    if dim == 0:
        # The batch stays first; only the view puts the new axis before it.
        batch, *rest = call.shape[1:]
        tensors = [call.scribe.reshaped(one, (batch, 1, *rest)) for one in call.argument(0, "tensors")]
        return call.scribe.concat(tensors, 1).permuted([1, 0, *range(2, len(call.shape))])
    shape = [*call.shape[:dim], 1, *call.shape[dim + 1 :]]
    return call.scribe.concat([call.scribe.reshaped(one, shape) for one in call.argument(0, "tensors")], dim)


def _unbound(call: Call) -> View:
    dim = call.argument(1, "dim", 0) % len(call.first.shape)
    return call.scribe.selected(call.first, dim, int(call.item[0]))


def _chunked(call: Call) -> View:
    dim = call.argument(2, "dim", 0) % len(call.first.shape)
    length, count = call.first.shape[dim], call.argument(1, "chunks")
    size = math.ceil(length / count)
    start = int(call.item[0]) * size if call.item else 0
    return call.scribe.sliced(call.first, dim, start, min(length, start + size))


def _split(call: Call) -> View:
    dim = call.argument(2, "dim", 0) % len(call.first.shape)
    sizes = call.argument(1, "split_size_or_sections", call.named.get("split_size", call.named.get("split_sizes")))
    number, length = int(call.item[0]) if call.item else 0, call.first.shape[dim]
    start = number * sizes if isinstance(sizes, int) else sum(sizes[:number])
    return call.scribe.sliced(
        call.first, dim, start, min(length, start + (sizes if isinstance(sizes, int) else sizes[number]))
    )


def _indexed(call: Call) -> View:
    view, index = call.first, call.given[1]
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(one, View | list) for one in parts):
        return _by_offset(call, parts)
    axes = sum(one is not None and one is not Ellipsis for one in parts)
    if Ellipsis in [one for one in parts if one is Ellipsis]:
        at = next(number for number, one in enumerate(parts) if one is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(view.shape) - axes)
    dim = 0
    for one in parts:
        if one is None:
            shape = [*view.shape[:dim], 1, *view.shape[dim:]]
            view = call.scribe.reshaped(view, shape)
            dim += 1
        elif isinstance(one, slice):
            start, stop, step_ = one.indices(view.shape[dim])
            view = call.scribe.sliced(view, dim, start, stop, step_)
            dim += 1
        elif type(one) is int:
            view = call.scribe.selected(view, dim, one % view.shape[dim])
        else:
            raise Unknown(f"with {one!r} as index")
    return view


def _by_offset(call: Call, parts: Sequence[Any]) -> View:
    """An entry of a table for each pair of positions, by a buffer that says which."""
    at = [number for number, one in enumerate(parts) if isinstance(one, View)]
    others = [one for number, one in enumerate(parts) if number not in at]
    if len(at) != 1 or any(one != slice(None) for one in others):
        raise Unknown("with a tensor or list as index")
    index = parts[at[0]]
    values = call.scribe.buffers.get(index.ref.name)
    if values is None or values.is_meta:
        raise Unknown("with an index that is computed")
    table, dim = call.first, at[0]
    found = offsets_of(values.flatten(), table.shape[dim])
    if found is None:
        raise Unknown("with an index that is no offset between positions of a window")
    made = call.scribe.layer("by_offset", found | ({"dim": dim} if dim else {}), [table])
    return call.scribe.reshaped(made, call.shape)


def _mean(call: Call) -> View:
    call.only("dim", "keepdim", "axis")
    dims = call.argument(1, "dim", call.named.get("axis"))
    if dims is None:
        raise Unknown("over all axes")
    listed = [dims] if isinstance(dims, int) else list(dims)
    keepdim = bool(call.argument(2, "keepdim", False))
    return call.scribe.mean(call.first, sorted(one % len(call.first.shape) for one in listed), keepdim)


def _reduced(how: str) -> Rule:
    def rule(call: Call) -> View:
        dims = call.argument(1, "dim")
        if dims is None:
            raise Unknown("over all axes")
        listed = [dims] if isinstance(dims, int) else list(dims)
        options = {"how": how, "dims": sorted(one % len(call.first.shape) for one in listed)}
        keepdim = bool(call.argument(2, "keepdim", False))
        view = call.scribe.layer("reduce", options | ({"keepdim": True} if keepdim else {}), [call.first])
        return view

    return rule


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "reshape_as", "view_as"), _reshaped
    ),
    "contiguous": _contiguous,
    **dict.fromkeys(("clone", "detach"), _passed),
    "permute": _permuted,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transposed),
    "mT": _turned,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expanded),
    "concat": _concat,
    "stack": _stacked,
    "unbind": _unbound,
    "chunk": _chunked,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "getitem": _indexed,
    "mean": _mean,
    "sum": _reduced("sum"),
    "amax": _reduced("max"),
    **dict.fromkeys(("to", "float", "type_as"), _cast),
}
