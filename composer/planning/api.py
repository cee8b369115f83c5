"""Plans of training on many GPUs, for Python users."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from composer.api import Source, compose
from composer.dag.composition import Composition
from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.planning.forecast import Forecast, rows_of
from composer.planning.machine import DEVICES, Cluster
from composer.planning.network import sizes_of
from composer.spec.load import load_spec
from composer.spec.training import Training, settle_training
from composer.training.optimizers import optimizer_maker

# The side of the matrix whose optimizer state is counted.
_SIDE = 64


def plan(
    source: Source,
    gpus: int,
    *,
    gpu: str = "a100-80",
    per_machine: int = 8,
    network: float = 200.0,
    utilisation: float = 0.3,
    recipe: str | Path | Mapping[str, Any] | None = None,
    allow_code: bool = False,
) -> Forecast:
    """What training a network on many GPUs takes of each, by strategy. Nothing is built.

    source       as for `composer.build`
    gpus         how many in all
    gpu          which: `a100-80`, `h100-80` …
    per_machine  GPUs in a machine
    network      gigabits a second that a machine sends to others
    utilisation  the share of the GPU's peak that computing reaches: an assumption, which `composer bench` on one GPU
                 replaces
    recipe       as for `composer.train`: its batch, optimizer, `amp`, `ema`, `accumulate` and `checkpoint` count
    allow_code   let a backbone `package.module:factory` run its code
    Raises SpecError, GraphError; InputError for a GPU that is not known, and for a batch that the GPUs cannot share.

    >>> found = plan("resnet50", 8, recipe={"batch": 256, "optimizer": "sgd"})
    >>> [row.name for row in found.rows]
    ['ddp', 'fsdp', 'ddp, checkpoint', 'fsdp, checkpoint']
    """
    spec = load_spec(source, allow_code=allow_code)
    training = settle_training(spec.files, recipe)
    return forecast(
        compose(spec), training, gpus, gpu=gpu, per_machine=per_machine, network=network, utilisation=utilisation
    )


def forecast(
    graph: Composition,
    training: Training,
    gpus: int,
    *,
    gpu: str,
    per_machine: int,
    network: float,
    utilisation: float,
) -> Forecast:
    """As `plan`, for a network that is composed and a recipe that is settled."""
    device = DEVICES.get(gpu)
    if device is None:
        help = did_you_mean(gpu, DEVICES, f"known are {one_of(DEVICES)}")
        raise InputError(Diagnostic("device", f"no GPU is called `{gpu}`", help=help))
    cluster = Cluster(device, gpus, per_machine, network * 1e9 / 8)
    recipe = training.recipe
    if recipe.batch % (gpus * recipe.accumulate):
        text = f"a batch of {recipe.batch} cannot be shared among {gpus} GPUs"
        times = f" and {recipe.accumulate} passes" if recipe.accumulate > 1 else ""
        help = (f"a multiple of {gpus * recipe.accumulate}, such as --batch {64 * gpus * recipe.accumulate}",)
        raise InputError(Diagnostic("batch", f"{text}{times}", help=help))
    states = _states(training)
    sizes = sizes_of(graph)
    rows = tuple(rows_of(sizes, recipe, cluster, states=states, utilisation=utilisation))
    return Forecast(graph.spec.name, sizes, recipe, cluster, utilisation, states, rows)


def _states(training: Training) -> float:
    """Numbers that the optimizer keeps for each number of a matrix, counted after a step."""
    matrix = torch.nn.Parameter(torch.zeros(_SIDE, _SIDE))
    optimizer = optimizer_maker(training)([{"params": [matrix]}])
    matrix.grad = torch.ones_like(matrix)
    optimizer.step()
    kept = [one for one in optimizer.state[matrix].values() if isinstance(one, torch.Tensor) and one.ndim]
    return round(sum(one.numel() for one in kept) / matrix.numel(), 2)
