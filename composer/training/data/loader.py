"""Batches of a split: what is in them depends on seed and epoch, not on workers or on what was read before."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from composer.amounts import plural
from composer.errors import ComposerError, Diagnostic, InputError
from composer.foreign import named
from composer.seeds import seed_of
from composer.training.data.data import Split
from composer.training.data.drawing import drawing
from composer.training.data.transforms import Transform


class Loader:
    """Batches of images b c h w and of their targets: int64 b, float b k, or int64 b h w.

    split       images and targets
    transform   of `training_transform` or `evaluation_transform`
    batch       images in a batch, of each process
    seed        of the run
    train       in another order in each epoch; otherwise in the split's own
    workers     processes that read images; 0: this one does
    drop_last   leave out a last batch that is not full; None: when training
    device_pin  keep batches in memory from which a GPU copies faster
    rank        the number of this process among those that train together
    world       how many they are; each takes other images, and all the same number of batches

    The order, and every random number that alters an image, follow from seed, epoch and the image's index alone.
    Raises InputError if there are fewer images than a batch needs.
    """

    def __init__(
        self,
        split: Split,
        transform: Transform,
        batch: int,
        *,
        seed: int,
        train: bool,
        workers: int = 0,
        drop_last: bool | None = None,
        device_pin: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.epoch = 0
        """The epoch whose order and random numbers the next iteration takes."""
        self.first = 0
        """So many batches are left out of the next iteration, and of no later one: a run goes on in their middle."""
        self.workers = workers
        self._order = _Order(len(split), batch, seed, train, train if drop_last is None else drop_last, rank, world)
        _check(len(split), self._order)
        self._sampler = _Batches(self._order)
        self._items = _Items(split, transform, seed)
        self._pin = device_pin
        self._loader: DataLoader[Any] | None = None

    def __len__(self) -> int:
        """The number of batches of a whole epoch, whatever `first` is."""
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, from `first` on. Raises InputError for an image that cannot be read, or if a worker
        ends."""
        self._sampler.epoch, self._sampler.first = self.epoch, self.first
        self.first = 0
        if self._loader is None:
            self._loader = self._start()
        ended = None
        try:
            for found in _started(self._loader):
                if isinstance(found, Failed):
                    raise InputError(found.problems)
                yield found
        except InputError:
            raise
        except Exception as error:
            # Workers pass on what fails in them, so this is between the processes: one ended, or memory or files did.
            if not self.workers:
                raise
            ended = _ended(named(error), self.workers)
        if ended is not None:
            # Not from the error, whose frames hold the iterator: while it lives, PyTorch raises the same again at the
            # end of any other process.
            self._let_go()
            raise ended

    def _let_go(self) -> None:
        # A pipe may break before the signal of the worker's end arrives, which PyTorch turns into an error.
        with contextlib.suppress(RuntimeError):
            time.sleep(0.2)
        self.close()

    def close(self) -> None:
        """End the workers; another iteration starts new ones."""
        self._loader = None

    def _start(self) -> DataLoader[Any]:
        with warnings.catch_warnings():
            # That there are more workers than cores is for the user to choose.
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            return self._made()

    def _made(self) -> DataLoader[Any]:
        return DataLoader(
            self._items,
            batch_sampler=self._sampler,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            pin_memory=self._pin,
            persistent_workers=self.workers > 0,
            # From which it would otherwise draw is the generator of dropout.
            generator=torch.Generator(),
            worker_init_fn=_ignore_interrupts if self.workers else None,
        )


def _started(loader: DataLoader[Any]) -> Iterator[Any]:
    """The loader's batches; that a worker ended is raised where the next of them is waited for.

    PyTorch sets a handler of signals that raises it in whatever the main process does when the worker ends.
    """
    here = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    before = signal.getsignal(signal.SIGCHLD) if here else None
    found = iter(loader)
    if before is not None:
        signal.signal(signal.SIGCHLD, before)
    return found


def ended_worker(error: BaseException) -> InputError | None:
    """What PyTorch raises when a process that reads images ends, in words; None for any other error.

    error  as it was raised: PyTorch raises it in whatever the main process does at that time
    """
    ended = isinstance(error, RuntimeError) and "DataLoader worker" in str(error)
    return _ended(named(error)) if ended else None


def _ended(text: str, workers: int = 0) -> InputError:
    why = "shared memory ran out" if "shared memory" in text else text.splitlines()[0].rstrip(". ")
    many = f" of {workers}" if workers else ""
    files = "Too many open files" in text or "ancdata" in text
    message = f"a process{many} that reads images ended, or cannot be heard: {why}"
    help = (
        "raise the limit of open files, `ulimit -n`"
        if files
        else "most often memory ran out: use fewer workers, or smaller batches",
        "workers: 0 reads images in the process that trains; if that ends too, an image is at fault",
    )
    return InputError(Diagnostic("worker", message, label="workers that live as long as the run", help=help))


@dataclass(frozen=True)
class Failed:
    """A batch that could not be read: exceptions lose their form between processes, problems do not."""

    problems: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class _Items(Dataset[Any]):
    """A batch for a list of (epoch, index)."""

    split: Split
    transform: Transform
    seed: int

    def __getitems__(self, keys: list[tuple[int, int]]) -> Any:
        images: list[Tensor] = []
        targets: list[Any] = []
        for epoch, index in keys:
            try:
                with drawing(seed_of(self.seed, f"{epoch}:{index}")):
                    image, target = self.transform(self.split.image(index), self.split.target(index))
            except ComposerError as error:
                return Failed(tuple(_with_name(problem, self.split.name(index)) for problem in error.diagnostics))
            except Exception as error:
                text = f"the image `{self.split.name(index)}` cannot be used: {named(error)}"
                return Failed((Diagnostic("data-image", text, help=("mend or remove it",)),))
            images.append(image)
            targets.append(target)
        return torch.stack(images), torch.stack([torch.as_tensor(target) for target in targets])


def _with_name(problem: Diagnostic, name: str) -> Diagnostic:
    return problem if name in problem.message else replace(problem, message=f"`{name}`: {problem.message}")


def _as_it_is(batch: Any) -> Any:
    return batch


def _ignore_interrupts(worker: int) -> None:
    # The terminal sends Ctrl-C to all processes; the main one ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class _Order:
    """Which images are in which batch of an epoch."""

    images: int
    batch: int
    seed: int
    shuffled: bool
    full: bool
    rank: int
    world: int

    def __len__(self) -> int:
        share = self.images // self.world if self.full else -(-self.images // self.world)
        return share // self.batch if self.full else -(-share // self.batch)

    def batches(self, epoch: int) -> list[list[int]]:
        """The indices in each batch of this process."""
        every = list(range(self.images))
        if self.shuffled:
            generator = torch.Generator().manual_seed(seed_of(self.seed, f"order:{epoch}"))
            every = torch.randperm(self.images, generator=generator).tolist()
        mine = every[self.rank :: self.world]
        if self.full or self.world == 1:
            return [mine[start : start + self.batch] for start in range(0, len(mine), self.batch)][: len(self)]
        # Processes wait for one another at each batch, so each has as many, though some are shorter by an image.
        cuts = [round(number * len(mine) / len(self)) for number in range(len(self) + 1)]
        return [mine[start:end] for start, end in pairwise(cuts)]


class _Batches(Sampler[list[tuple[int, int]]]):
    """The keys of the batches of an epoch; workers that stay learn of the epoch by them."""

    def __init__(self, order: _Order) -> None:
        self.order = order
        self.epoch = 0
        self.first = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self.order.batches(self.epoch)[self.first :]:
            yield [(self.epoch, index) for index in batch]


def _check(images: int, order: _Order) -> None:
    if order.batch < 1:
        raise InputError(Diagnostic("batch", f"a batch of {order.batch} images", label="1 or more"))
    need = order.batch * order.world if order.full else order.world
    if images < need:
        text = f"{plural(images, 'image', ',')} are fewer than a batch of {order.batch}"
        text += f" for each of {order.world} processes" if order.world > 1 else ""
        help = (f"use batches of {images // order.world or 1} or less, or give more images",)
        raise InputError(Diagnostic("batch", text, label=f"{need:,} images or more", help=help))
