"""How trials run: one after another in this process, or several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from composer.comparing.cluster import Workers, check_address
from composer.comparing.cluster import require as require_ray
from composer.comparing.plugins import plugins_of
from composer.comparing.trials import RunJobs, RunTrial, Tell, in_turn
from composer.dag.composition import Composition

if TYPE_CHECKING:
    from composer.training.data import Data
    from composer.training.trainer import Where


def workers_of(parallel: int | None, address: str | None) -> Workers | None:
    """Where several are trained at once, as users say it; None for one after another, in this process."""
    return None if parallel is None and address is None else Workers(parallel, address)


def opened(data: str | Data, workers: Workers | None, tell: Tell) -> Data:
    """The data of trials, after it is known that they can run.

    Raises InputError for data that no comparison takes, and for an address where no cluster answers; UnavailableError
    without the extra `train`, or `sweep` for several at once.
    """
    if workers is not None:
        require_ray()
        if workers.address is not None:
            tell(f"asking {workers.address}")
            check_address(workers.address)
    from composer.training.trainer import require

    require()
    from composer.comparing.learning import check_data
    from composer.training.data import Data, open_data

    if not isinstance(data, Data):
        tell(f"reading {data}")
        data = open_data(data, tell=tell)
    check_data(data)
    return data


def told(make: Callable[[Tell], RunTrial], workers: Workers | None, tell: Tell) -> tuple[RunTrial, Tell]:
    """What runs a trial, and what is told of it: in this process, behind its name, how far it is.

    make  makes it of what it tells; what runs in another process takes no function of this one with it
    """
    if workers is not None:
        return make(unsaid), tell
    at = [""]

    def named(text: str) -> None:
        at[0] = text
        tell(text)

    return make(lambda text: tell(f"{at[0]}, {text}")), named


def unsaid(text: str) -> None:
    """Tells nobody. It can be sent to other processes."""


def every_of(
    workers: Workers | None,
    graphs: Iterable[Composition | None],
    folder: Path,
    where: Where,
    *,
    threads: int,
    say: Tell,
) -> RunJobs:
    """What runs trials: one after another, or several at once. Raises PluginError.

    graphs  the networks, whose plugins other processes load
    folder  of all trials
    """
    if workers is None:
        return in_turn
    from composer.comparing.learning import is_on_gpu, progress_of
    from composer.comparing.parallel import at_once

    workers = replace(workers, gpu=is_on_gpu(where))
    plugins = plugins_of(graph for graph in graphs if graph is not None)
    return at_once(workers, folder, threads=threads, plugins=plugins, say=say, at=progress_of)
