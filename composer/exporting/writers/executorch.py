"""ExecuTorch, lowered to XNNPACK where that takes a node, and run by ExecuTorch's own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from composer.exporting.job import Job, Runner
from composer.exporting.quiet import quiet


def write(job: Job) -> None:
    """Lower the program and write it. Raises ValueError for operators that the runtime has no kernel of."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    content = _lowered(job, [XnnpackPartitioner()])
    if not _loads(content):
        # XNNPACK takes tensors of at most six axes, and says so only when a program is loaded.
        content = _lowered(job, [])
    job.file.write_bytes(content)


def _lowered(job: Job, partitioners: list[Any]) -> bytes:
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(job.program, partitioner=partitioners).to_executorch()
    if absent := sorted(_operators(lowered) - _kernels()):
        raise ValueError(f"the runtime has no kernel for {', '.join(absent)}")
    return bytes(lowered.buffer)


def _loads(content: bytes) -> bool:
    from executorch.runtime import Runtime

    try:
        with quiet():
            Runtime.get().load_program(content).load_method("forward")
    except RuntimeError:
        return False
    return True


def _operators(lowered: Any) -> set[str]:
    """The operators that the program calls itself, such as `aten::add.out`."""
    plans = lowered.executorch_program.execution_plan
    return {f"{one.name}.{one.overload}".removesuffix(".") for plan in plans for one in plan.operators}


def _kernels() -> set[str]:
    from executorch.runtime import Runtime

    with quiet():
        return set(Runtime.get().operator_registry.operator_names)


def load(job: Job) -> Runner:
    """The program in ExecuTorch's runtime."""
    from executorch.runtime import Runtime

    with quiet():
        method = Runtime.get().load_program(job.file).load_method("forward")
    assert method is not None, "a network has a forward"

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        with quiet():
            # The runtime's outputs are its own memory, which the next run fills anew.
            return [one.clone() for one in method.execute([one.contiguous() for one in tensors])]

    return run
