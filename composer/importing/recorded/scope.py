"""Writes one scope: each step as a layer with its options, and axes only where an operation needs them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from composer import registry
from composer.dag.arguments import arguments_of_node
from composer.dag.infer import Inference, Inferred, Misfit
from composer.dag.names import RESERVED
from composer.dag.tensor import TensorSpec
from composer.errors import Mistakes
from composer.importing.recorded.draft import Draft, Item
from composer.importing.recorded.views import NotAView, Ref, View
from composer.registry import MAPS
from composer.spec.origin import Origin

# Patterns that have a layer of their own.
_NAMED = {
    "b c h w -> b h w c": "channels_last",
    "b h w c -> b c h w": "channels_first",
    "b c h w -> b (c h w)": "flatten",
}
_ON_MAPS = ("zero_pad", "upsample", "global_avg_pool", "global_max_pool", "max_pool", "avg_pool", "pixel_shuffle")
# How many of the inputs are tokens.
_ON_TOKENS = {"scaled_dot_product_attention": 3, "add_positions": 1, "mean_tokens": 1}
_SLICED = ("b c h w", "b n c", "b c")


class Unknown(Exception):
    """No layer is certainly what a step does; the message says what is missing."""


@dataclass
class Scribe:
    """Adds items to a draft, and knows the tensors of the scope.

    origin  what inference says of where nodes are written
    taken   names that no further item may have
    buffers path -> values of a buffer, which stands in a view under this name
    exact   whether a tensor that is made contiguous must be so here too
    """

    draft: Draft
    infer: Inference
    origin: Origin
    taken: set[str]
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    exact: bool = False
    known: dict[tuple[str, str, str], View] = field(default_factory=dict)

    def free(self, wanted: str) -> str:
        """The name, or `name_2`, `name_3` … if something has it."""
        number, name = 1, wanted
        while name in self.taken or name in RESERVED or name in self.draft.inputs:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def inferred(self, op: str, options: Mapping[str, Any], specs: Sequence[TensorSpec]) -> Inferred:
        """What a layer gives. Raises Unknown if it does not fit."""
        entry = registry.get(op)
        assert entry is not None, op
        try:
            return self.infer(entry, arguments_of_node(entry, dict(options), specs, self.origin, ""), specs)
        except Misfit as error:
            raise Unknown(str(error)) from error
        except Mistakes as error:
            raise Unknown("; ".join(one.message for one in error.diagnostics)) from error

    def add(
        self, op: str, options: Mapping[str, Any], views: Sequence[View], *, name: str | None = None, **more: Any
    ) -> View:
        """A node with a layer, on tensors as they stand. Raises Unknown if the layer does not fit."""
        refs = [self.written(one).ref for one in views]
        found = self.inferred(op, options, [one.spec for one in refs])
        given = _options(op, found)
        name = self.free(op) if name is None else name
        path = f"{self.draft.path}.{name}" if self.draft.path else name
        self.draft.items.append(Item(name, more.pop("path", path), [one.name for one in refs], op, given, **more))
        self.draft.specs[name] = found.output
        return View.of(Ref(name, found.output))

    def layer(self, op: str, options: Mapping[str, Any], views: Sequence[View]) -> View:
        """As `add`, for a function: its inputs get the layout in which the layer works."""
        wanted = [_wanted(op, number, len(view.shape)) for number, view in enumerate(views)]
        for force in (False, True):
            before = len(self.draft.items)
            try:
                given = [self.written(one, layout, force=force) for one, layout in zip(views, wanted, strict=True)]
                return self.add(op, options, given)
            except Unknown:
                self.forget(before)
                if force or not any(wanted):
                    raise
        raise AssertionError("the second try returns or raises")

    def forget(self, before: int) -> None:
        """Takes back the items since there were so many."""
        gone = {item.name for item in self.draft.items[before:]}
        del self.draft.items[before:]
        self.taken -= gone
        self.known = {key: view for key, view in self.known.items() if view.ref.name not in gone}

    def written(self, view: View, wanted: str | None = None, *, force: bool = False) -> View:
        """The tensor as a node gives it: with a `rearrange`, if its axes are others.

        wanted  a layout that it gets if the names of its axes can be chosen so
        force   also if they cannot: then the node says that the axes are these
        """
        if view.ref.name in self.buffers and view.ref.name not in self.draft.specs:
            raise Unknown(f"takes the buffer `{view.ref.name}`, whose values a spec cannot hold")
        if view.expanded is not None:
            raise Unknown(f"expands {view.ref.name} to {'×'.join(map(str, view.expanded))}")
        fits = wanted is not None and len(wanted.split()) == len(view.shape)
        if view.is_plain and not (force and fits and view.ref.spec.layout not in (None, wanted)):
            return view
        options: dict[str, Any] = {}
        pattern, sizes = view.pattern(wanted if fits and not view.is_plain else None)
        if fits and not self._gives(view.ref, pattern, sizes, wanted):
            pattern, sizes = view.pattern()
            if force:
                options["layout"] = wanted
        if not options and (layout := self._clear(view.ref, pattern, sizes)):
            options["layout"] = layout
        key = view.ref.name, pattern, repr((sizes, options))
        if key not in self.known:
            plain = View.of(view.ref)
            if pattern in _NAMED and view.ref.spec.layout is not None and not options:
                made = self.add(_NAMED[pattern], {}, [plain])
            else:
                given = {"pattern": pattern} | ({"sizes": sizes} if sizes else {}) | options
                made = self.add("rearrange", given, [plain])
            self.known[key] = made
        return View(self.known[key].ref, view.axes, view.axes)

    def _clear(self, ref: Ref, pattern: str, sizes: Mapping[str, int]) -> str | None:
        """A layout without an axis of no name, if the pattern leaves one."""
        axes = (
            self.inferred("rearrange", {"pattern": pattern, "sizes": dict(sizes)}, [ref.spec]).output.layout or ""
        ).split()
        if "_" not in axes:
            return None
        free = (one for one in ("t", "l", "m", "p", "q", "r") if one not in axes)
        return " ".join(next(free) if axis == "_" else axis for axis in axes)

    def _gives(self, ref: Ref, pattern: str, sizes: Mapping[str, int], layout: str | None) -> bool:
        try:
            found = self.inferred("rearrange", {"pattern": pattern, "sizes": dict(sizes)}, [ref.spec])
        except Unknown:
            return False
        return found.output.layout == layout

    def reshaped(self, view: View, shape: Sequence[int]) -> View:
        """With axes of these lengths."""
        try:
            return view.reshaped(shape)
        except NotAView:
            pass
        if view.expanded is not None or math.prod(view.shape) != math.prod(shape):
            raise Unknown("reshapes an expanded tensor")
        batch, *rest = view.shape
        if list(shape[:1]) != [batch]:
            raise Unknown(f"reshapes {_sides(view.shape)} to {_sides(shape)}")
        try:
            flat = self.written(view.reshaped((batch, math.prod(rest))))
            return View.of(flat.ref).reshaped(shape)
        except NotAView:
            raise Unknown(f"reshapes {_sides(view.shape)} to {_sides(shape)}") from None

    def merged(self, op: str, one: Any, other: Any) -> View:
        """Element by element; a number stands for a tensor of it."""
        if op == "mul" and isinstance(other, int | float) and isinstance(one, View):
            return self.layer("scale", {"factor": float(other)}, [one])
        if op == "mul" and isinstance(one, int | float) and isinstance(other, View):
            return self.layer("scale", {"factor": float(one)}, [other])
        views = [self._tensor(value) for value in (one, other)]
        if op == "add" and _is_positions(views[0], views[1]):
            return self.layer("add_positions", {}, views)
        if op == "add" and _is_positions(views[1], views[0]):
            return self.layer("add_positions", {}, views[::-1])
        try:
            return self.layer(op, {}, views)
        except Unknown:
            return self.layer(op, {"broadcast": True}, views)

    def _tensor(self, value: Any) -> View:
        if isinstance(value, View):
            return View(value.ref, value.parts, value.axes)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unknown(f"with {value!r}")
        return self.add("constant", {"value": float(value)}, [])

    def concat(self, views: list[View], dim: int) -> View:
        """One behind the other along an axis."""
        tokens = [one for one in views if one.expanded is not None]
        if tokens and views[: len(tokens)] == tokens and dim == 1 and len(views) > len(tokens):
            rest = views[len(tokens) :]
            found = self.concat(rest, dim) if len(rest) > 1 else rest[0]
            for token in reversed(tokens):
                count = token.shape[1]
                plain = View(token.ref, token.parts, token.axes)
                found = self.layer("prepend_token", {"tokens": count} if count > 1 else {}, [plain, found])
            return found
        if len(views) == 1:
            return views[0]
        made = [self.written(one) for one in views]
        axes = (made[0].ref.spec.layout or "").split()
        named = axes[dim] if len(axes) > dim and axes in (["b", "c"], ["b", "n", "c"], ["b", "c", "h", "w"]) else dim
        return self.layer("concat", {} if named == "c" else {"axis": named}, made)

    def selected(self, view: View, dim: int, index: int) -> View:
        """One entry along an axis, which goes."""
        view = self._ready(view, dim)
        axis = view.outermost(dim)
        assert axis is not None
        left = view.axes[:dim] + view.axes[dim + 1 :]
        part, width = view.parts[axis], len(view.axes[dim])
        if len(part) > width:
            size = math.prod(one.size for one in part[width:])
            made = self._cut(view.ref, axis, index * size, (index + 1) * size, 1)
            parts = (*view.parts[:axis], part[width:], *view.parts[axis + 1 :])
            return View(made.ref, parts, left)
        spec = view.ref.spec
        plain = View.of(view.ref)
        if spec.layout == "b n c" and axis == 1:
            made = self.add("take_token", {"index": index} if index else {}, [plain])
        else:
            made = self.add("select", {"dim": axis, "index": index}, [plain])
        return View(made.ref, view.parts[:axis] + view.parts[axis + 1 :], left)

    def sliced(self, view: View, dim: int, start: int, end: int, step: int = 1) -> View:
        """A range of entries along an axis."""
        length = view.shape[dim]
        if (start, end, step) == (0, length, 1):
            return view
        view = self._ready(view, dim)
        axis = view.outermost(dim)
        assert axis is not None
        part, width = view.parts[axis], len(view.axes[dim])
        if step != 1 and len(part) > width:
            view = self.written(view)
            axis, part = dim, view.parts[dim]
            width = len(part)
        size = math.prod(one.size for one in part[width:])
        made = self._cut(view.ref, axis, start * size, end * size, step)
        (fresh,) = View.of(Ref("", TensorSpec((len(range(start, end, step)),)))).axes
        parts = (*view.parts[:axis], (*fresh, *part[width:]), *view.parts[axis + 1 :])
        return View(made.ref, parts, (*view.axes[:dim], fresh, *view.axes[dim + 1 :]))

    def _ready(self, view: View, dim: int) -> View:
        """The same tensor, with a node of which the axis is one, or the first factor of one."""
        if view.expanded is not None:
            raise Unknown("takes a part of an expanded tensor")
        batch = view.parts[0][:1] if (view.ref.spec.layout or "").startswith("b") else ()
        if batch and batch[0] in view.axes[dim]:
            raise Unknown("takes a part of the batch")
        return view if view.outermost(dim) is not None else self.written(view)

    def _cut(self, ref: Ref, axis: int, start: int, end: int, step: int) -> View:
        layout, length = ref.spec.layout, ref.spec.shape[axis]
        letter = (layout or "").split()[axis : axis + 1]
        plain = View.of(ref)
        if step == 1 and letter == ["c"] and layout in _SLICED:
            return self.add("channels", {"start": start, "end": end}, [plain])
        span: dict[str, Any] = {"start": start} if start else {}
        if end < length:
            span["end"] = end
        if step == 1 and layout == "b n c" and axis == 1:
            return self.add("slice_tokens", span, [plain])
        return self.add("slice", {"dim": axis, **span} | ({"step": step} if step > 1 else {}), [plain])

    def mean(self, view: View, dims: list[int], keepdim: bool) -> View:
        """The mean over axes."""
        if 0 in dims and len(view.axes) > 1:
            # The batch goes first.
            at = next((i for i, axis in enumerate(view.axes) if axis and axis[0] is view.parts[0][0]), 0)
            order = [at, *(one for one in range(len(view.shape)) if one != at)]
            if keepdim or at in dims:
                raise Unknown("takes a mean over the batch")
            return self.mean(view.permuted(order), sorted(order.index(one) for one in dims), False)
        count = len(view.shape)
        layout = self.written(view).ref.spec.layout
        kept = [1 if one in dims else length for one, length in enumerate(view.shape)]
        if layout == "b h w c" and dims == [1, 2]:
            pooled = self.layer("global_avg_pool", {}, [self.written(view.permuted((0, 3, 1, 2)))])
            return self.reshaped(pooled, kept) if keepdim else pooled
        if layout in MAPS and dims == list(range(2, count)):
            return self.layer("global_avg_pool", {"keepdim": True} if keepdim else {}, [view])
        if layout == "b n c" and dims == [1]:
            pooled = self.layer("mean_tokens", {}, [view])
            return self.reshaped(pooled, kept) if keepdim else pooled
        options = {"dims": dims} | ({"keepdim": True} if keepdim else {})
        return self.layer("reduce", options, [view])

    def padded(self, view: View, amounts: list[int]) -> View:
        """With zeros around a map; amounts are those of PyTorch, the last axis first."""
        layout = (self.written(view).ref.spec.layout or "").split()
        pairs = {
            len(view.shape) - 1 - number: tuple(amounts[2 * number : 2 * number + 2])
            for number in range(len(amounts) // 2)
            if any(amounts[2 * number : 2 * number + 2])
        }
        if sorted(layout) != ["b", "c", "h", "w"] or any(layout[dim] not in "hw" for dim in pairs):
            raise Unknown(f"pads `{' '.join(layout) or '?'}`")
        options: dict[str, int] = {}
        for dim, (before, after) in pairs.items():
            names = ("left", "right") if layout[dim] == "w" else ("top", "bottom")
            options |= {name: amount for name, amount in zip(names, (before, after), strict=True) if amount}
        order = [layout.index(letter) for letter in "bchw"]
        made = self.layer("zero_pad", options, [self.written(view.permuted(order))])
        return made.permuted([order.index(one) for one in range(4)])

    def attended(self, q: View, k: View, v: View, mask: View | None, scale: float | None) -> View:
        """Softmax attention; all axes between the batch and the tokens are heads."""
        if len(q.shape) < 3 or q.shape[1:-2] != k.shape[1:-2] or q.shape[0] != k.shape[0]:
            raise Unknown("keys of other heads than the queries'")
        between = q.shape[1:-2]
        heads = math.prod(between)
        tokens = [self._in_tokens(one, heads) for one in (q, k, v)]
        options: dict[str, Any] = {"num_heads": heads} if heads > 1 else {}
        if scale is not None and scale != q.shape[-1] ** -0.5:
            options["scale"] = scale
        made = self.layer("scaled_dot_product_attention", options, [*tokens, *([] if mask is None else [mask])])
        batch, count = q.shape[0], q.shape[-2]
        split = self.reshaped(made, (batch, count, *between, v.shape[-1]))
        axes = list(range(2, 2 + len(between)))
        return split.permuted([0, *axes, 1, 2 + len(between)])

    def _in_tokens(self, view: View, heads: int) -> View:
        last = len(view.shape) - 1
        moved = view.permuted([0, last - 1, *range(1, last - 1), last])
        return self.reshaped(moved, (view.shape[0], view.shape[-2], heads * view.shape[-1]))


def _wanted(op: str, number: int, count: int) -> str | None:
    """The layout in which a layer takes an input of so many axes, if it is only one."""
    if op in _ON_MAPS and count == 4 and number == 0:
        return "b c h w"
    if op in _ON_TOKENS and count == 3 and number < _ON_TOKENS[op]:
        return "b n c"
    return None


def _is_positions(x: View, positions: View) -> bool:
    """Whether a learnable tensor has a vector for each token of a sequence."""
    shape = positions.shape
    known = x.is_plain and x.ref.spec.layout == "b n c"
    return known and positions.ref.spec.layout is None and shape == (1, *x.shape[1:])


def _options(op: str, found: Inferred) -> dict[str, Any]:
    """What a person would write: the options that differ from their defaults."""
    entry, arguments = found.operation.entry, found.operation.arguments
    written: dict[str, Any] = {}
    for model in entry.models:
        for name, one in model.model_fields.items():
            if name in arguments and arguments[name] != one.default:
                written[name] = arguments[name]
    if "padding" in written and op != "scaled_std_conv2d":
        # Beside others of a block it may be needed; where it is usual, it is not written.
        written["padding"] = arguments["padding"]
    if op in ("max_pool", "avg_pool") and written.get("stride") == written["kernel_size"]:
        del written["stride"]
    return written


def usual_padding(op: str, written: Mapping[str, Any]) -> Any:
    """The padding that a layer with these options has by itself."""
    if op == "scaled_std_conv2d":
        return None
    kernel, spread = written["kernel_size"], written.get("dilation", 1)
    if isinstance(kernel, int) and isinstance(spread, int):
        return spread * (kernel - 1) // 2
    count = 3 if op == "conv3d" else 2
    sizes = kernel if isinstance(kernel, tuple | list) else [kernel] * count
    spreads = spread if isinstance(spread, tuple | list) else [spread] * len(sizes)
    found = tuple(each * (size - 1) // 2 for size, each in zip(sizes, spreads, strict=True))
    return found[0] if len(set(found)) == 1 else found


def _sides(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
