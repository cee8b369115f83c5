"""The input tensors of a network, as its spec describes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from composer.dag.limits import MAX_INPUT
from composer.dag.nodes.step import Stop
from composer.dag.tensor import BATCH, TensorSpec
from composer.errors import Mistakes
from composer.registry import TokenGrid
from composer.spec.origin import Origin, evaluate
from composer.spec.spec import Spec


def input_tensor(network: Spec, name: str) -> TensorSpec:
    """An input of a network. Raises Stop."""
    spec, origin = network.inputs[name], network.input_origins[name]
    if not network.is_sound(origin):
        raise Stop
    try:
        shape = evaluate(spec.shape, network.vars, origin, name)
    except Mistakes as error:
        raise Stop(*error.diagnostics) from error
    if not all(isinstance(length, int) and not isinstance(length, bool) and 0 < length < 2**31 for length in shape):
        raise Stop(origin.problem("input", f"the shape of `{name}` is {shape}", "positive whole numbers"))
    if (count := math.prod(shape)) > MAX_INPUT:
        text = f"`{name}` holds {count:,} numbers"
        raise Stop(origin.problem("budget", text, f"at most {MAX_INPUT:,}", ("make its lengths smaller",)))
    if "layout" not in spec.model_fields_set and _channels_last(shape):
        first = [shape[-1], *shape[:-1]]
        text = f"`{name}` would have {shape[0]} channels of {shape[1]}×{shape[2]}"
        help = (f"write `{first}`; where this is meant, say so: `{{shape: {shape}, layout: b c h w}}`",)
        raise Stop(origin.problem("input", text, "channels come first", help))
    axes = spec.layout.split()
    if axes[:1] != ["b"] or len(axes) != len(shape) + 1 or len(set(axes)) != len(axes):
        label = f"{len(axes) - 1} lengths, one for each axis of `{spec.layout}` after `b`"
        text = f"the shape {shape} of `{name}` does not fit its layout"
        advice = _LAYOUTS.get(len(shape), "").format(shape=shape)
        raise Stop(origin.problem("input", text, label, (advice,) if advice else ()))
    tensor = TensorSpec((BATCH, *shape), spec.layout)
    return tensor if spec.grid is None else replace(tensor, grid=_grid(network, name, tensor))


# Number of lengths -> the long form for an input that is no image.
_LAYOUTS = {
    2: "tokens are `{{shape: {shape}, layout: b n c}}`, a sequence is `{{shape: {shape}, layout: b c l}}`",
    4: "a video or a volume is `{{shape: {shape}, layout: b c t h w}}`",
}


def _grid(network: Spec, name: str, tensor: TensorSpec) -> TokenGrid:
    """The grid of an input's tokens; those that it leaves over are a prefix. Raises Stop."""
    shape = network.input_origins[name]
    origin = Origin(shape.document, (*shape.path[:-1], "grid"))
    try:
        grid = evaluate(network.inputs[name].grid, network.vars, origin, name)
    except Mistakes as error:
        raise Stop(*error.diagnostics) from error
    if not all(isinstance(length, int) and not isinstance(length, bool) and length > 0 for length in grid):
        raise Stop(origin.problem("input", f"the grid of `{name}` is {grid}", "a height and a width"))
    tokens, (height, width) = tensor.axis("n"), grid
    if tokens is None:
        text = f"`{name}` has a grid and no tokens: its layout is `{tensor.layout}`"
        raise Stop(origin.problem("input", text, "a layout with `n`, such as `b n c`"))
    if height * width > tokens:
        text = f"the grid of `{name}` has {height}×{width} = {height * width} positions for {tokens} tokens"
        raise Stop(origin.problem("input", text, f"at most {tokens} positions"))
    return TokenGrid(height, width, tokens - height * width)


def _channels_last(shape: Sequence[int]) -> bool:
    """Whether a shape looks like the height, width and channels of an image."""
    return len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= 16
