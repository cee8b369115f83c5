"""Shows the current step of a command: a line on the terminal, and with --verbose the time that the step took."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import typer

from composer.cli import screen
from composer.visible import visible

Item = TypeVar("Item")
Tell = Callable[[str], None]


@contextlib.contextmanager
def stage(context: typer.Context, what: str) -> Iterator[Tell]:
    """Show a line with the current step until the step ends; yields a function that adds text to the line.

    Shows nothing without a terminal or with --quiet. With --verbose, a line with the seconds stays.
    """
    verbosity = context.find_root().obj.verbosity
    began = time.perf_counter()
    with _line(what) if verbosity >= 0 and screen.is_terminal(sys.stderr) else contextlib.nullcontext(_nothing) as tell:
        yield tell
    if verbosity > 0:
        screen.words(f"{what}: {time.perf_counter() - began:.1f} s")


def counted(items: Iterable[Item], tell: Tell, of: str) -> Iterator[Item]:
    """The items; tells the number of each as it is taken: `3 of 20 checks`."""
    for number, item in enumerate(items, 1):
        tell(f"{number} of {of}")
        yield item


@contextlib.contextmanager
def _line(what: str) -> Iterator[Tell]:
    # Imported only here, because the import takes longer than most commands.
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    # Data on stdout must not be drawn into the line.
    with Progress(*shown, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(f"{visible(what)} …", total=None)
        yield lambda more: progress.update(task, description=f"{visible(what)}, {visible(more)} …")


def _nothing(more: str) -> None:
    pass
