"""Records a module as a graph: one run on the meta device, where nothing is computed."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from composer.dag.host import HostScope
from composer.dag.infer import Inference
from composer.dag.operation import Operation
from composer.dag.tensor import BATCH
from composer.errors import Source
from composer.hosts.recording.trace import Tracer
from composer.hosts.recording.tree import Tree
from composer.spec.document import Document, Value
from composer.spec.origin import Origin
from composer.torch_private import AnyBatchNorm

# Modules with parts that count as one operation, as in specs: attention, gates, a norm with its activation.
_WHOLE_NAMES = re.compile(
    r"((Attention|Attn)(Global|PoolFirst|V2)?|GPSA|MHSA|XCA|AttentionPool\w*|SplitAttn|SelectiveKernel"
    r"|SqueezeExcite\w*|SqueezeExcitation\w*|SEModule|SEUnit|SELayer|EffectiveSEModule|EseModule|EcaModule|CbamModule"
    r"|GatherExcite|GlobalContext|BatchNormAct2d|\w*NormAct\w*|SelectAdaptivePool2d|PositionalEncodingFourier)$"
)
# Blocks that hold an attention, convolutions with a norm, and two attentions that specs write as blocks.
_NEVER_WHOLE = re.compile(
    r"(Block|Layer|Conv\w*NormAct\w*|ConvBnAct|PartitionAttention|MobileAttention|EvaAttention|MaskUnitAttention)$"
    r"|Block\w*Attn$"
)
_WHOLE: Any = (nn.MultiheadAttention, AnyBatchNorm)


def is_whole(module: nn.Module) -> bool:
    """Whether a module is one node: it has no parts, or it is what specs write as one operation."""
    if next(module.children(), None) is None or isinstance(module, torch.jit.ScriptModule):
        return True
    name = type(module).__name__
    return isinstance(module, _WHOLE) or bool(_WHOLE_NAMES.search(name) and not _NEVER_WHOLE.search(name))


def record(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    origin: Origin | None = None,
    inference: Inference | None = None,
    real: bool = False,
    whole: Callable[[nn.Module], bool] = is_whole,
    batch: int = BATCH,
) -> HostScope:
    """The graph of one call of a module, in evaluation mode and on the meta device; the module stays as it is.

    model   any module; one that is on the meta device already is run itself, of others a copy without numbers
    args, kwargs  what it is called with: tensors in nested tuples, lists and mappings, of any batch
    name    the name of the network; by default that of its class
    origin  where a spec names the module
    real    run the module itself, on its own device: for a module that reads values of tensors
    whole   whether a module is one node; of a module that is not on meta, it is asked about the copy
    batch   how many examples it is called with
    Raises what the module raises.
    """
    model = model if real else on_meta(model)
    tracer = Tracer(model, whole)
    traced(tracer, args, kwargs or {}, batch)
    here = origin or Origin(Document(Source(type(model).__name__), Value({})))
    return Tree(here, inference or Inference()).root(tracer.root, name or type(model).__name__)


def traced(tracer: Tracer, args: Sequence[Any], kwargs: Mapping[str, Any], batch: int = BATCH) -> None:
    """Run a tracer's model in evaluation mode, on its own device. Raises what the model raises."""
    model = tracer.model
    device = device_of(model)
    args, kwargs = (mapped(value, device, batch=batch) for value in (tuple(args), dict(kwargs)))
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.device(device):
            tracer.run(args, kwargs)
    finally:
        for module, training in modes.items():
            module.training = training


def on_meta(model: nn.Module) -> nn.Module:
    """A copy of a model without numbers; the model itself if it has none."""
    tensors = [*model.parameters(), *model.buffers()]
    if all(one.is_meta for one in tensors):
        return model
    memo: dict[int, Any] = {}
    for one in tensors:
        meta = one.detach().to("meta")
        memo[id(one)] = nn.Parameter(meta, one.requires_grad) if isinstance(one, nn.Parameter) else meta
    with _CopiesOnMeta():
        return copy.deepcopy(model, memo)


class _CopiesOnMeta(TorchFunctionMode):
    """Within it, copies of tensors have no numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            source, memo = args
            memo[id(source)] = found = memo.get(id(source), source.detach().to("meta"))
            return found
        return func(*args, **(kwargs or {}))


def in_float32(value: Any) -> Any:
    """The arguments with their floating tensors in float32."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if type(value) in (tuple, list):
        return type(value)(in_float32(one) for one in value)
    return {key: in_float32(one) for key, one in value.items()} if isinstance(value, Mapping) else value


def device_of(model: nn.Module) -> str:
    """The device of a module's first tensor; meta for one without."""
    first = next(iter((*model.parameters(), *model.buffers())), None)
    return "meta" if first is None else str(first.device)


def mapped(value: Any, device: str = "meta", *, single: bool = False, batch: int = BATCH) -> Any:
    """The arguments with tensors of a batch on a device.

    single  the images of a list have no batch axis
    """
    if isinstance(value, Tensor):
        batched = value.ndim in (2, 3, 4, 5) and value.shape[0] != batch and not (single and value.ndim == 3)
        shape = (batch, *value.shape[1:]) if batched else tuple(value.shape)
        return torch.zeros(shape, dtype=value.dtype, device=device)
    if type(value) in (tuple, list):
        return type(value)(mapped(one, device, single=type(value) is list, batch=batch) for one in value)
    if isinstance(value, Mapping):
        return {key: mapped(one, device, batch=batch) for key, one in value.items()}
    return value


def operations_at(scope: HostScope, batch: int) -> Mapping[str, Operation]:
    """Path of a node -> its operation when the model that was recorded takes so many examples: a forward may hand their
    number to functions, such as `x.reshape(b, n, c)`.

    scope  a whole model as `composer.sources` recorded it, with rules or without
    """
    assert scope.twin is not None
    given = {where[0]: torch.empty(scope.inputs[name].shape, device="meta") for name, where in scope.arguments.items()}
    again = record(scope.twin, (), {str(name): tensor for name, tensor in given.items()}, batch=batch)
    prefix = f"{scope.path}." if scope.path else ""
    return {f"{prefix}{node.path}": node.content for node in again.walk() if isinstance(node.content, Operation)}
