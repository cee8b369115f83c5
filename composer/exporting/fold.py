"""Folds norms that run on statistics of training into the convolutions and linear maps before them."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from composer.exporting.blame import operator_of

_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
_TRANSPOSED = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}


def fold_norms(module: fx.GraphModule) -> tuple[int, int]:
    """Fold each BatchNorm of a recorded network that is the only consumer of a convolution or linear map before it.

    Returns how many were folded, and how many there were. A weight that is used twice, or computed, stays.
    """
    uses = Counter(node.target for node in module.graph.nodes if node.op == "get_attr")
    norms = [node for node in module.graph.nodes if node.op == "call_function" and operator_of(node) == "batch_norm"]
    folded = sum(_fold(module, norm, uses) for norm in norms)
    module.graph.lint()
    module.recompile()
    return folded, len(norms)


def drop_unused(module: fx.GraphModule) -> None:
    """Delete parameters and buffers that a changed graph no longer reads, which would be written with it."""
    reads = [node for node in module.graph.nodes if node.op == "get_attr"]
    read = {node.target for node in reads if node.users}
    for node in reads:
        if not node.users:
            module.graph.erase_node(node)
    module.recompile()
    names = [name for name, _ in [*module.named_parameters(remove_duplicate=False), *module.named_buffers()]]
    for name in names:
        if name not in read:
            path, _, last = name.rpartition(".")
            delattr(module.get_submodule(path), last)


def _fold(module: fx.GraphModule, norm: fx.Node, uses: Counter[object]) -> bool:
    """Fold a norm if it can be; whether it was."""
    before = norm.args[0]
    if norm.args[5] or not isinstance(before, fx.Node) or before.op != "call_function" or len(before.users) != 1:
        return False
    operator = operator_of(before)
    if not _is_linear_in_channels(operator, before):
        return False
    weight, bias = before.args[1], before.args[2] if len(before.args) > 2 else None
    if not _is_own(weight, uses) or not (bias is None or _is_own(bias, uses)):
        return False
    values = [None if one is None else _value(module, one) for one in (weight, bias, norm.args[3], norm.args[4])]
    scale, shift = (None if one is None else _value(module, one) for one in norm.args[1:3])
    w, b, mean, variance = values
    assert w is not None
    assert mean is not None
    assert variance is not None
    epsilon = norm.args[7]
    assert isinstance(epsilon, float)
    # A norm without its own scale and shift has ones and zeros.
    scale = torch.ones_like(mean) if scale is None else scale
    shift = torch.zeros_like(mean) if shift is None else shift
    if operator == "linear":
        new = fuse_linear_bn_weights(w, b, mean, variance, epsilon, scale, shift)
    else:
        new = fuse_conv_bn_weights(w, b, mean, variance, epsilon, scale, shift, operator in _TRANSPOSED)
    _put(module, _target(weight), new[0])
    if bias is None:
        _add_bias(module, before, new[1])
    else:
        _put(module, _target(bias), new[1])
    norm.replace_all_uses_with(before)
    module.graph.erase_node(norm)
    return True


def _is_linear_in_channels(operator: str, node: fx.Node) -> bool:
    """Whether a scale per channel of what a node gives can be put into its weight."""
    if operator == "linear":
        # A norm is over the second axis, a linear map over the last.
        return node.meta["val"].ndim == 2
    if operator in _TRANSPOSED:
        return _groups_of_transposed(node) == 1
    return operator in _CONVOLUTIONS


def _is_own(value: object, uses: Counter[object]) -> bool:
    """Whether it is a parameter that nothing else reads."""
    return isinstance(value, fx.Node) and value.op == "get_attr" and uses[value.target] == 1 and len(value.users) == 1


def _target(node: object) -> str:
    assert isinstance(node, fx.Node)
    return str(node.target)


def _groups_of_transposed(node: fx.Node) -> int:
    """conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)."""
    groups = node.args[6] if len(node.args) > 6 else node.kwargs.get("groups", 1)
    return groups if isinstance(groups, int) else 0


def _value(module: fx.GraphModule, node: object) -> Tensor:
    value: Tensor = attrgetter(_target(node))(module)
    return value


def _put(module: fx.GraphModule, target: str, value: Tensor) -> None:
    path, _, name = target.rpartition(".")
    setattr(module.get_submodule(path), name, nn.Parameter(value.detach(), requires_grad=False))


def _add_bias(module: fx.GraphModule, node: fx.Node, value: Tensor) -> None:
    path, _, _ = _target(node.args[1]).rpartition(".")
    name = "bias" if not hasattr(module.get_submodule(path), "bias") else "folded_bias"
    target = f"{path}.{name}" if path else name
    holder = module.get_submodule(path)
    if getattr(holder, name, None) is None and hasattr(holder, name):
        delattr(holder, name)
    holder.register_parameter(name, nn.Parameter(value.detach(), requires_grad=False))
    with module.graph.inserting_before(node):
        bias = module.graph.get_attr(target)
    node.args = (*node.args[:2], bias, *node.args[3:])
