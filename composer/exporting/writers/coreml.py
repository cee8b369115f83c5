"""Core ML: an ML program, converted by coremltools. It runs on Apple's systems alone, so its description is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.export import ExportedProgram

from composer.exporting.blame import operator_of
from composer.exporting.job import Job, Runner


def write(job: Job) -> None:
    """Convert the program in single precision and write the package."""
    import coremltools

    subject = job.subject
    inputs = [
        coremltools.TensorType(name=name, shape=tuple(one.shape))
        for name, one in zip(subject.inputs, subject.tensors, strict=True)
    ]
    model = coremltools.convert(
        _without_aliases(job.program.run_decompositions({})),
        inputs=inputs,
        outputs=[coremltools.TensorType(name=name) for name in subject.output_names()],
        minimum_deployment_target=coremltools.target.iOS17,
        compute_precision=coremltools.precision.FLOAT32,
        skip_model_load=True,
    )
    model.save(str(job.file))


def _without_aliases(program: ExportedProgram) -> ExportedProgram:
    """The program without nodes that give their input another name, which coremltools does not know."""
    for node in list(program.graph.nodes):
        is_alias = node.op == "call_function" and operator_of(node) == "alias"
        if is_alias and all(user.op != "output" for user in node.users):
            node.replace_all_uses_with(node.args[0])
            program.graph.erase_node(node)
    return program


def load(job: Job) -> Runner | None:
    """None: the package is not run. Raises ValueError if its description is not the network's."""
    import coremltools

    description = coremltools.utils.load_spec(str(job.file)).description
    outputs = job.subject.outputs(job.subject.tensors)
    _check("inputs", description.input, job.subject.tensors)
    _check("outputs", description.output, outputs)
    return None


def _shape(port: Any) -> tuple[int, ...]:
    return tuple(port.type.multiArrayType.shape)


def _check(what: str, ports: Sequence[Any], tensors: Sequence[Tensor]) -> None:
    found, wanted = [_shape(one) for one in ports], [tuple(one.shape) for one in tensors]
    if found != wanted:
        raise ValueError(f"the package declares {what} of {found}, not of {wanted}")
