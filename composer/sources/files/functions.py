"""The functions of a file's graph, run on tensors without numbers, at another number of examples than in the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from composer.foreign import is_error
from composer.hosts.recording.nested import tensors_in
from composer.sources.files.graph import Value, words

# Functions that are run to find what they give and what they cost. All others give what the file says.
_RUN = words(
    """
    conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d linear matmul mm bmm addmm
    baddbmm einsum scaled_dot_product_attention batch_norm layer_norm native_layer_norm group_norm instance_norm
    rms_norm _native_batch_norm_legit_no_training native_group_norm relu relu6 silu gelu hardswish hardsigmoid
    hardtanh sigmoid tanh leaky_relu elu mish softplus prelu softmax _softmax log_softmax add sub mul div pow sqrt
    rsqrt exp log neg abs erf clamp clamp_min clamp_max maximum minimum where reciprocal floor rsub square sin cos
    flatten view reshape _unsafe_view permute transpose t unsqueeze squeeze expand expand_as cat stack split
    split_with_sizes chunk unbind select slice index gather roll pad constant_pad_nd repeat contiguous clone
    unflatten movedim numpy_T flip index_select narrow unfold im2col to _to_copy dropout feature_dropout alias
    detach mean sum amax amin max_pool2d max_pool1d avg_pool2d avg_pool1d adaptive_avg_pool1d adaptive_avg_pool2d
    _adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d pixel_shuffle
    pixel_unshuffle linalg_vector_norm var normalize channel_shuffle embedding zeros ones full arange zeros_like
    ones_like full_like scalar_tensor empty new_zeros new_ones new_full linspace
    """
)
_COSTLY = words(
    """
    conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d linear matmul mm bmm addmm
    baddbmm einsum scaled_dot_product_attention
    """
)
_SIZED = frozenset({"view", "reshape", "_unsafe_view", "expand", "flatten", "unflatten"})
# As the functions are called that people write, which say what they do with axes.
_NAMES = {
    **{"constant_pad_nd": "pad", "_unsafe_view": "view", "native_layer_norm": "layer_norm", "resize": "interpolate"},
    **{f"upsample_{word}": "interpolate" for word in ("nearest1d", "nearest2d", "bilinear2d", "bicubic2d")},
}
_JOINING = frozenset({"cat", "stack"})


class FileFunction:
    """A function of the file, called with tensors on meta.

    taken, given  the tensors as the file has them
    costs         whether it may multiply; only of functions that are not run
    """

    def __init__(
        self,
        op: str,
        overload: str,
        package: str,
        taken: Sequence[Value],
        given: Sequence[Value],
        *,
        costs: bool,
    ) -> None:
        self.__name__, self.__module__ = _NAMES.get(op, op.strip("_")), package
        self.op, self.overload = op, overload
        self.taken, self.given, self.costs = tuple(taken), tuple(given), costs
        self.several = len(self.given) > 1

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from another function of its name."""
        return self.taken, self.given

    @property
    def hides_cost(self) -> bool:
        """Whether what it multiplies is not known where torch's function is not run."""
        return self.op in _COSTLY if self.runs else self.costs

    @property
    def runs(self) -> bool:
        """Whether it is one of torch's functions that are run."""
        return bool(self.overload) and self.op in _RUN

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The results, without numbers. Under a mode that notes functions, this one is noted, not those inside it."""
        tensors = [tensor for _, tensor in tensors_in((args, kwargs))]
        # True of anything where a mode is on.
        if has_torch_function((None, *tensors)):
            return handle_torch_function(self, tensors, *args, **kwargs)
        found = self._run(args, kwargs, tensors) if self.runs else None
        results = found if found is not None else self._told(tensors)
        return tuple(results) if self.several else results[0]

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]) -> list[Tensor] | None:
        """What torch's function gives; None if it does not take these tensors, or gives other axes than the file."""
        target = getattr(getattr(torch.ops.aten, self.op), self.overload)
        try:
            if self.op in _SIZED and tensors:
                size = self._sizes(tensors)[0]
                result = tensors[0].expand(size) if self.op == "expand" else tensors[0].reshape(size)
            elif self.op in _JOINING:
                result = target(_alike(args[0], _dim(args, kwargs)), *args[1:], **kwargs)
            else:
                result = target(*args, **kwargs)
        except BaseException as error:
            if not is_error(error):
                raise
            return None
        found = [tensor for _, tensor in tensors_in(result)]
        same = len(found) >= len(self.given) and all(
            tensor.ndim == len(one.shape) for tensor, one in zip(found, self.given, strict=False)
        )
        return found[: len(self.given)] if same else None

    def _told(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Tensors of the shapes in the file, at the number of examples that arrived."""
        if self.hides_cost:
            # A product for which counters have no formula tells them that something here is not known.
            torch.dot(torch.empty(1, device="meta"), torch.empty(1, device="meta"))
        learned = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        if learned and self.hides_cost:
            raise RuntimeError(f"what `{self.__name__}` keeps for a backward pass is not known")
        device = tensors[0].device if tensors else "meta"
        return [
            torch.empty(size, dtype=one.dtype, device=device, requires_grad=learned and one.dtype.is_floating_point)
            for size, one in zip(self._sizes(tensors), self.given, strict=True)
        ]

    def _sizes(self, tensors: Sequence[Tensor]) -> list[tuple[int, ...]]:
        found = None
        for tensor, one in zip(tensors, self.taken, strict=False):
            changed = [k for k, (now, then) in enumerate(zip(tensor.shape, one.shape, strict=False)) if now != then]
            # What was widened for the file's number of examples says nothing of the number that arrived.
            if changed and tensor.ndim == len(one.shape) and (found is None or tensor.numel() > found[0].numel()):
                found = tensor, one.shape, changed[0]
        if found is None:
            return [value.shape for value in self.given]
        tensor, then, axis = found
        same = self.op == "expand"
        return [_scaled(then, axis, tensor.shape[axis], value.shape, same) for value in self.given]


def _scaled(then: Sequence[int], axis: int, now: int, given: tuple[int, ...], same: bool) -> tuple[int, ...]:
    """A shape of the file, with the axis changed that holds what has changed in `then[axis]`.

    Numbers keep their order in memory, so it begins behind as many numbers as before.
    """
    before = math.prod(then[:axis])
    place, passed = 0, 1
    if same:
        place = axis + len(given) - len(then)
    elif len(then) == len(given) and given[axis] == then[axis]:
        place = axis
    else:
        while place < len(given) - 1 and passed * given[place] <= before and passed < before:
            passed *= given[place]
            place += 1
    if not given or (given[place] * now) % then[axis]:
        return given
    return (*given[:place], given[place] * now // then[axis], *given[place + 1 :])


def _dim(args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    found = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    return int(found)


def _alike(tensors: Sequence[Tensor], dim: int) -> list[Tensor]:
    """Tensors to be joined, those that were made for the file's number of examples widened to that of the others."""
    dim %= max(one.ndim for one in tensors)
    widest = [max(one.shape[axis] for one in tensors) for axis in range(tensors[0].ndim)]
    found = []
    for one in tensors:
        size = [one.shape[axis] if axis == dim else wide for axis, wide in enumerate(widest)]
        found.append(one if list(one.shape) == size else torch.empty(size, dtype=one.dtype, device=one.device))
    return found
