"""Lightning's trainer as a run needs it, and the devices that it trains on."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

from composer.errors import Diagnostic, InputError, UnavailableError
from composer.foreign import said
from composer.spec.recipe import Recipe
from composer.training.run import Run


@dataclass(frozen=True)
class Where:
    """The devices that train.

    accelerator  `auto`, `cpu`, `gpu` …, as Lightning has them
    devices      how many, on each machine; None for Lightning's own choice, which is 1 on a CPU
    nodes        machines
    strategy     `auto`, `ddp`: each process has the whole network; `fsdp`: a share of it (FSDP2)
    """

    accelerator: str = "auto"
    devices: int | None = None
    nodes: int = 1
    strategy: str = "auto"


# Variables of the environment with the number of this process, the first that is set.
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
# This process, on the device that Lightning chooses.
HERE = Where()


def require() -> None:
    """Raises UnavailableError without the extra `train`."""
    try:
        for package in ("lightning.pytorch", "torchmetrics"):
            importlib.import_module(package)
    except ImportError as error:
        text = f"training needs the package `{package.partition('.')[0]}`"
        help = ("pip install 'attention-composer[train]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error


def is_first() -> bool:
    """Whether this process is the first of those that train together."""
    # torchrun, processes that Lightning started, and SLURM's srun say it each in their own way.
    return int(next((os.environ[name] for name in _RANKS if name in os.environ), "0")) == 0


def trainer_for(run: Run, recipe: Recipe, where: Where, keeper: Any, epochs: int) -> Any:
    """The trainer of a run: no files, bars or words of its own.

    run     the folder
    recipe  its precision, clipping and loggers
    where   the devices
    keeper  the callback that writes checkpoints
    epochs  so many are left, of which the first may have begun
    Raises UnavailableError for a logger whose package is not installed and for devices that are not there, InputError
    for a batch that the devices cannot share.
    """
    import lightning.pytorch as pl
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from composer.training.quiet import quiet

    quiet()
    is_sharded = where.strategy == "fsdp"
    if is_sharded and recipe.amp == "float16":
        text = "shares of a network cannot be trained with `amp: float16`"
        raise InputError(Diagnostic("device", text, help=("`--set train.amp=bfloat16`",)))
    plain = "64-true" if recipe.dtype == "float64" and not is_sharded else "32-true"
    precision = {"bfloat16": "bf16-mixed", "float16": "16-mixed", None: plain}[recipe.amp]
    options: dict[str, Any] = {"devices": where.devices} if where.devices is not None else {}
    if where.devices is None and where.strategy == "auto":
        options["devices"] = 1
    written = _loggers(run, recipe)
    try:
        found = pl.Trainer(
            accelerator=where.accelerator,
            num_nodes=where.nodes,
            strategy=_strategy(where),
            precision=precision,  # type: ignore[arg-type]
            max_epochs=max(1, epochs),
            accumulate_grad_batches=recipe.accumulate,
            gradient_clip_val=recipe.clip,
            callbacks=[keeper],
            logger=written,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            inference_mode=False,
            default_root_dir=run.folder,
            log_every_n_steps=1,
            **options,
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        text = f"Lightning cannot train on these devices: {said(error)}"
        help = ("`--accelerator cpu` trains on the CPU",)
        raise UnavailableError(Diagnostic("device", text, help=help)) from error
    if recipe.batch // recipe.accumulate % found.world_size:
        text = f"{recipe.batch // recipe.accumulate} images at once cannot be shared among {found.world_size} processes"
        raise InputError(Diagnostic("batch", text, label="a multiple of the number of processes"))
    return found


def _strategy(where: Where) -> Any:
    """How the devices work together, as Lightning has it."""
    if where.strategy != "fsdp":
        return where.strategy
    import torch
    from lightning.pytorch.strategies import ModelParallelStrategy

    there = torch.accelerator.device_count() if where.accelerator != "cpu" else 1
    devices = where.devices if where.devices is not None else max(1, there)
    return ModelParallelStrategy(data_parallel_size=devices * where.nodes, tensor_parallel_size=1)


def _loggers(run: Run, recipe: Recipe) -> list[Any]:
    """Lightning's loggers that the recipe asks for. Raises UnavailableError for a package that is not installed."""
    from lightning.pytorch import loggers

    found: list[Any] = []
    try:
        for name in recipe.loggers:
            match name:
                case "tensorboard":
                    found.append(loggers.TensorBoardLogger(run.folder, name="", version="tensorboard"))
                case "wandb":
                    found.append(loggers.WandbLogger(name=run.folder.name, save_dir=run.folder))
                case "mlflow":
                    found.append(loggers.MLFlowLogger(run.folder.name, save_dir=str(run.folder / "mlruns")))
    except ModuleNotFoundError as error:
        text = f"the logger `{name}` needs a package that is not installed"
        raise UnavailableError(Diagnostic("extra", text, help=(f"pip install {name}",))) from error
    return found
