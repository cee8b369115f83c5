"""Makes a model faster for inference, step by step, each measured against the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from composer.amounts import plural
from composer.benchmark.contestant import Contestant
from composer.benchmark.interval import FEWEST, Ratio, paired_ratio
from composer.benchmark.settings import Settings, name_of
from composer.benchmark.timing import times
from composer.errors import Diagnostic, InputError
from composer.hosts.recording.nested import tensors_in
from composer.inference.calls import Call, copied, difference
from composer.inference.fold import fold_batch_norms
from composer.inference.optimised import Optimised, Step
from composer.inference.prepared import Form, prepared

Tell = Callable[[str], None]


def for_inference(
    model: nn.Module,
    example: Any = None,
    *,
    fold: bool = True,
    channels_last: bool = False,
    dtype: torch.dtype | None = None,
    compile: bool = False,
    only_faster: bool = False,
    runs: int = 20,
    threads: int | None = None,
    tell: Tell = lambda text: None,
) -> Optimised:
    """A faster model for inference, made of a copy in the steps that are asked for; the model itself stays as it is.

    Each step runs on the example in turn with the step before, so that what else the machine does slows both alike.

    model          any nn.Module: composed, timm's, torchvision's or your own
    example        what it is called with: a tensor, a tuple of arguments, a mapping of keywords, or (tuple, mapping); a
                   composed network needs none, and is then measured on a batch of 8
    fold           fold batch norms into convolutions; see `composer.inference.fold_batch_norms`
    channels_last  maps with the channels innermost
    dtype          compute in this dtype, such as torch.bfloat16; inputs and outputs stay in the model's own
    compile        with code that `torch.compile` makes
    only_faster    leave out again what is not shown to be faster
    runs           number of measured runs of each step, after 3 that are not; 0 measures nothing
    threads        number of threads on the CPU while it is measured
    tell           told what is being done
    Raises InputError if the model cannot be copied, run or compiled, or overflows in the dtype; ValueError if `runs` or
    `threads` is too small, or `dtype` is none of floating point.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise ValueError(f"dtype={dtype}: it is of floating point, such as torch.bfloat16")
    if runs < 0 or (only_faster and runs < FEWEST):
        raise ValueError(f"runs={runs}: {FEWEST} at least to show that a step is faster, 0 to measure nothing")
    plain = copied(model)
    call = Call.of(model, example)
    work = _Work(call, call.checked(plain, f"`{type(model).__name__}`"), _settings(plain, call, runs, threads), runs)
    first = now = _State(plain, Form())
    before: nn.Module = plain
    steps: list[Step] = []
    for name, change in _changes(call, fold, channels_last, dtype, compile).items():
        tell(name)
        state = change(now)
        module = before if state.same else prepared(state.base, state.form)
        step = work.step(name, module, before, state.note)
        if only_faster and not _is_faster(step):
            step = replace(step, kept=False)
        else:
            now, before = replace(state, note="", same=False), module
        steps.append(step)
    tell("all that was kept")
    whole = work.step("all", before, first.base, "against the model as it was")
    return Optimised(before, model, steps, whole, work.words, now.left)


@dataclass(frozen=True)
class _State:
    """A model on its way: its copy, which may be folded, and how it computes.

    note  what the last step did
    same  whether it did nothing
    left  the batch norms that were not folded, and why
    """

    base: nn.Module
    form: Form
    note: str = ""
    same: bool = False
    left: Mapping[str, str] = field(default_factory=dict)


Change = Callable[[_State], _State]


def _changes(
    call: Call, fold: bool, channels_last: bool, dtype: torch.dtype | None, compile: bool
) -> dict[str, Change]:
    """The steps that are asked for by name, in the order in which each can use what came before."""
    found: dict[str, Change] = {}
    if fold:
        found["fold"] = lambda state: _folded(state, call)
    if channels_last:
        found["channels_last"] = lambda state: replace(state, form=replace(state.form, channels_last=True))
    if dtype is not None:
        found[str(name_of(dtype))] = lambda state: replace(state, form=replace(state.form, dtype=dtype))
    if compile:
        found["compile"] = lambda state: replace(state, form=replace(state.form, compiled=True))
    return found


def _folded(state: _State, call: Call) -> _State:
    base, report = fold_batch_norms(state.base, (call.args, dict(call.kwargs)))
    if not report.folded:
        return replace(state, note="nothing to fold", same=True, left=report.left)
    note = f"{len(report.folded)} of {plural(len(report.folded) + len(report.left), 'batch norm')}"
    return replace(state, base=base, note=note, left=report.left)


def _is_faster(step: Step) -> bool:
    return step.ratio is not None and step.ratio.shown and step.ratio.value < 1


@dataclass(frozen=True)
class _Work:
    """What all steps are measured with.

    like  what the model gives that was given
    runs  number of measured runs; 0 for none
    """

    call: Call
    like: Any
    settings: Settings
    runs: int

    def step(self, name: str, module: nn.Module, before: nn.Module, note: str) -> Step:
        """A step that turned one module into another. Raises InputError if the other cannot run."""
        with self.settings.applied():
            result = self.call.checked(module, f"the model after the step `{name}`")
            apart = difference(result, self.like)
            if math.isinf(apart.largest):
                text = f"after the step `{name}`, outputs are not finite or of another shape"
                help = ("leave the step out; torch.bfloat16 has the range of float32, and torch.float16 has not",)
                raise InputError(Diagnostic("inference", text, help=help))
            ratio = self._ratio(name, module, before) if self.runs and module is not before else None
        return Step(name, ratio, apart, True, note)

    def _ratio(self, name: str, module: nn.Module, before: nn.Module) -> Ratio:
        args, kwargs = self.call.args, self.call.kwargs
        runners = [Contestant(one, made, args, kwargs) for one, made in ((name, module), ("before", before))]
        ours, theirs = times(runners, "forward", self.settings, lambda text: None)
        return paired_ratio(ours, theirs)

    @property
    def words(self) -> str:
        """How it was measured, in a line."""
        shapes = [one for _, one in tensors_in([*self.call.args, *self.call.kwargs.values()])]
        inputs = " and ".join("×".join(map(str, one.shape)) for one in shapes)
        measured = f"{self.runs} runs of each step in turn with the one before" if self.runs else "not measured"
        return ", ".join([*self.settings.words(), inputs, measured])


def _settings(model: nn.Module, call: Call, runs: int, threads: int | None) -> Settings:
    tensors = [one for _, one in tensors_in([*call.args, *call.kwargs.values()])]
    device = next((one.device for one in (*tensors, *model.parameters())), torch.device("cpu"))
    return Settings(runs=max(runs, 1), device=device, threads=threads)
