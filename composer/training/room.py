"""Whether a training fits into the memory that is free, before it takes its first step."""

from __future__ import annotations

import torch

from composer.amounts import size
from composer.benchmark.free_memory import free_memory, kept_by_example
from composer.dag.composition import Composition
from composer.errors import Diagnostic, InputError
from composer.spec.recipe import Recipe

ADVICE = "a smaller `batch`; `accumulate: 2`, which halves what is kept at once; `checkpoint: true`; `amp: bfloat16`"


def check_room(graph: Composition, recipe: Recipe, batch: int, device: torch.device) -> None:
    """Raise InputError if a step needs more memory than is free, as far as is known.

    graph   the network
    recipe  its type of numbers, and what blocks keep
    batch   images that are in memory at once
    device  where they are

    Weights and their gradients are counted, and what autograd keeps of each image; not the optimizer's state.
    """
    free = free_memory(device)
    # Half of the numbers are of 16 bits with `amp`; how much blocks keep that are run again, nobody knows.
    if free is None or recipe.checkpoint or recipe.amp:
        return
    number = 8 if recipe.dtype == "float64" else 4
    fixed, each = 2 * number * graph.num_parameters, kept_by_example(graph, 4) * number // 4
    needed = fixed + each * batch
    if needed <= free:
        return
    text = f"a step of `{graph.spec.name}` at batch {batch} needs at least {size(needed)}, and {size(free)} are free"
    fits = (free - fixed) // each if each else 0
    first = (f"at most {fits} images fit beside the network",) if fits > 0 else ()
    raise InputError(Diagnostic("memory", text, help=(*first, ADVICE)))
