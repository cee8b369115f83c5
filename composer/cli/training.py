"""What the verbs that train share: data, devices, and the words at the end."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.options import find_device, say
from composer.cli.progress import Tell, stage
from composer.cli.screen import out
from composer.foreign import Interrupt

if TYPE_CHECKING:
    from composer.comparing.cluster import Workers
    from composer.training.data import Data
    from composer.training.run import Run
    from composer.training.trainer import Where


class Strategy(enum.StrEnum):
    """How several devices share the work."""

    AUTO = "auto"
    DDP = "ddp"
    FSDP = "fsdp"


@dataclass(frozen=True)
class Resources:
    """Options for the devices that train."""

    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu or another that Lightning knows.")] = "auto"
    devices: Annotated[int | None, typer.Option(min=1, help="Devices on each machine (1, or all with --strategy).")] = (
        None
    )
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1
    strategy: Annotated[Strategy, typer.Option(help="How several devices share the work.")] = Strategy.AUTO

    @property
    def where(self) -> Where:
        """The same, as training takes it."""
        from composer.training.trainer import Where

        return Where(self.accelerator, self.devices, self.nodes, self.strategy.value)


def open_data(context: typer.Context, source: str, **options: Any) -> Data:
    """The data of a source. Raises InputError."""
    from composer.training.data import open_data

    with stage(context, f"reading {source}") as tell:
        return open_data(source, tell=tell, **options)


RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]


def open_run(context: typer.Context, folder: Path, data: str | None) -> tuple[Run, Data]:
    """A run and its data, or other data opened in the same way. Raises UnavailableError, InputError."""
    from composer.training.trainer import require

    require()
    from composer.training.api import data_of
    from composer.training.run import Run

    run = Run(folder)
    with stage(context, f"reading the data of {run}") as tell:
        return run, data_of(run, data, tell)


@contextlib.contextmanager
def leaving(context: typer.Context, run: Run) -> Iterator[tuple[Callable[[str], None], Tell]]:
    """While a run trains: what prints results, and what shows progress; then the next command."""
    from composer.training.keeping import Stop, words

    said: list[str] = []
    try:
        with stage(context, f"training in {run}") as tell:
            yield said.append, tell
    except Stop as stop:
        say(context, words(run))
        raise typer.Exit(128 + int(stop.args[0])) from stop
    from composer.training.trainer import is_first

    if not is_first():
        return
    for text in said:
        out(text)
    say(context, f"the run is {run}; next: composer run {run.network} --weights {run} --image PATH")


# PyTorch's kind of device -> the name that Lightning gives it.
_ACCELERATORS = {"cpu": "cpu", "cuda": "gpu"}


def where_of(device: str) -> Where:
    """The device with this name, as training takes it. Raises UnavailableError."""
    target = find_device(device)
    from composer.training.trainer import Where, require

    require()
    return Where(_ACCELERATORS.get(target.type, "auto"))


@dataclass(frozen=True)
class ManyTrainings:
    """Options of verbs that train many networks."""

    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, metavar="N", help="Train N at once on this machine, by Ray.")
    ] = None
    address: Annotated[
        str | None, typer.Option("--address", metavar="HOST:PORT", help="Train on this Ray cluster, or `auto`.")
    ] = None
    retry: Annotated[bool, typer.Option("--retry", help="Run failed trainings again.")] = False

    @property
    def workers(self) -> Workers | None:
        """The same, as comparing takes it."""
        from composer.comparing.several import workers_of

        return workers_of(self.parallel, self.address)

    def check(self, data: str | None, output: Path | None) -> None:
        """Raises BadParameter for trainings without a folder, and for options of trainings without data."""
        if data is not None and output is None:
            raise typer.BadParameter("what is trained needs a folder: -o FOLDER", param_hint="--data")
        if data is None and (self.parallel is not None or self.address is not None):
            raise typer.BadParameter("without --data nothing is trained", param_hint="--parallel, --address")


Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of each training on a CPU (1).")]


@contextlib.contextmanager
def going_on(context: typer.Context) -> Iterator[None]:
    """While many networks train: an interruption ends the command with what to do next."""
    try:
        yield
    except Interrupt as stop:
        say(context, "stopped; the same command goes on where it was")
        raise typer.Exit(128 + int(stop.args[0])) from stop
