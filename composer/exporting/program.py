"""Records a network with torch.export, with as many varying axes as it allows, and changes what was recorded."""

from __future__ import annotations

import re

import torch
from torch import fx
from torch.export import ExportedProgram

from composer.errors import ComposerError, Diagnostic, InputError
from composer.exporting import blame
from composer.exporting.compare import relative
from composer.exporting.sizes import HEIGHT_AND_WIDTH, ONE_BATCH, ONE_SIZE, Culprit, Varying, larger, shapes_of
from composer.exporting.subject import Subject
from composer.foreign import is_error, said

# The largest difference between the network and what was recorded of it, relative to the output.
ROUNDING = 1e-4
# How torch.export names an axis: L['x'].size()[2]
_AXIS = re.compile(r"\.size\(\)\[(\d+)\]")


def record(
    subject: Subject, varying: Varying, batch: int, *, bounded: bool = False
) -> tuple[Subject, ExportedProgram, Varying]:
    """The network, its program, and the axes that may vary in it: fewer where a node makes a constant of one.

    varying  the axes that should vary
    batch    the number of examples that the network is called with if the batch does not vary
    bounded  give each a largest length, for engines that plan their memory
    Raises InputError, at the node, for a network that torch.export cannot record.
    """
    while True:
        if "b" not in varying.axes:
            subject = subject.with_tensors(subject.sized(lambda axis, n: batch if axis == "b" else n))
        culprit = Culprit(subject.module)
        try:
            with torch.no_grad(), culprit.watching():
                program = _exported(subject, varying, bounded)
            _agrees(subject, program, varying)
        except ComposerError:
            raise
        except BaseException as error:
            if not is_error(error):
                raise
            if not varying.axes:
                raise InputError(_unrecordable(subject, error)) from error
            varying = _fewer(subject, varying, culprit.path, error)
            continue
        return subject, program, varying


def record_again(
    subject: Subject, module: fx.GraphModule, varying: Varying, *, bounded: bool = False
) -> ExportedProgram:
    """The program of a changed copy of a recorded network, with the same varying axes."""
    with torch.no_grad():
        return torch.export.export(
            module, subject.args, dict(subject.kwargs), dynamic_shapes=shapes_of(subject, varying, bounded)
        )


def _exported(subject: Subject, varying: Varying, bounded: bool) -> ExportedProgram:
    shapes = shapes_of(subject, varying, bounded) if varying.axes else None
    return torch.export.export(subject.module, subject.args, dict(subject.kwargs), dynamic_shapes=shapes)


def _agrees(subject: Subject, program: ExportedProgram, varying: Varying) -> None:
    """Raises ValueError if what was recorded refuses a larger image, or computes something else for it."""
    if not varying.axes:
        return
    tensors = subject.sized(lambda axis, n: larger(axis, n) if axis in varying.axes else n)
    called = subject.with_tensors(tensors)
    with torch.no_grad():
        found = subject.flat(program.module()(*called.args, **called.kwargs))
        difference = relative(found, subject.outputs(tensors))
    if not difference <= ROUNDING:
        raise ValueError("recorded, it computes something else for another size")


def _fewer(subject: Subject, varying: Varying, path: str | None, error: BaseException) -> Varying:
    """The axes without those that the failure is about; if it does not say, first height and width, then the batch."""
    named = {axes.get(int(at)) for at in _AXIS.findall(said(error)) for axes in subject.axes}
    about = HEIGHT_AND_WIDTH if named & HEIGHT_AND_WIDTH else named
    axes = varying.axes & frozenset(filter(None, about)) or varying.axes & HEIGHT_AND_WIDTH or varying.axes
    path = path if path is not None else blame.ran_last(subject, error)
    what, label = ("size", ONE_SIZE) if axes & HEIGHT_AND_WIDTH else ("batch", ONE_BATCH)
    where = blame.named(subject, path) if path else f"`{subject.name}`"
    text = f"{where} cannot be recorded for every {what}: {blame.first_line(error)}"
    return varying.without(axes, blame.at_node(subject, path, text, label))


def _unrecordable(subject: Subject, error: BaseException) -> Diagnostic:
    path = blame.ran_last(subject, error)
    where = blame.named(subject, path) if path else f"`{subject.name}`"
    text = f"torch.export cannot record {where}: {blame.first_line(error)}"
    help = ("write it without branches on values of tensors, or export another network",)
    return blame.at_node(subject, path, text, "a network whose steps do not depend on its input", help)
