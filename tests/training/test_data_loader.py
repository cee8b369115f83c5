"""What is in a batch follows from seed, epoch and index alone; what fails in a worker is said as it is without."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from training.pictures import classes_of

from composer.errors import InputError
from composer.spec.augment import Augment
from composer.spec.model import InputSpec
from composer.training.data import Loader, evaluation_transform, open_data, training_transform

SPEC = InputSpec(shape=[1, 8, 8])


@dataclass(frozen=True)
class Numbers:
    """Images that hold their own index; `worst` is one that fails, in a way."""

    count: int
    worst: int = -1
    way: str = ""

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> Tensor:
        if index == self.worst:
            if self.way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.way == "exit":
                os._exit(3)
            raise OSError("the disk is gone")
        return torch.full((1, 8, 8), index, dtype=torch.uint8)

    def target(self, index: int) -> int:
        return index

    def name(self, index: int) -> str:
        return f"numbers[{index}]"


def loader(count: int, batch: int, **options: object) -> Loader:
    given = {"seed": 0, "train": True, **options}
    return Loader(Numbers(count), evaluation_transform(SPEC, (1, 8, 8)), batch, **given)  # type: ignore[arg-type]


def order(loader: Loader) -> list[list[int]]:
    return [targets.tolist() for _, targets in loader]


def test_an_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    one = loader(23, 5)
    first = order(one)
    assert [len(batch) for batch in first] == [5, 5, 5, 5]
    assert len(one) == 4
    one.epoch = 1
    second = order(one)
    assert first != second
    one.epoch = 0
    assert order(one) == first
    assert order(loader(23, 5, seed=1)) != first
    last = order(loader(23, 5, drop_last=False))
    assert sorted(index for batch in last for index in batch) == list(range(23))
    assert order(loader(23, 5, train=False)) == [list(range(start, min(start + 5, 23))) for start in range(0, 23, 5)]


def test_an_image_belongs_to_its_target() -> None:
    for images, targets in loader(23, 5):
        assert images.dtype == torch.float32
        assert torch.equal((images[:, 0, 0, 0] * 255).round().long(), targets)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_do_not_depend_on_workers_or_on_what_was_read_before(workers: int) -> None:
    data = open_data("digits")
    augment = Augment.model_validate({"crop": [0.5, 1], "flip": True, "randaugment": True, "erase": 0.5})
    transform = training_transform(augment, SPEC, (1, 8, 8), "classes")
    plain = Loader(data.test, transform, 32, seed=5, train=True)
    plain.epoch = 3
    torch.manual_seed(1)
    expected = list(plain)
    other = Loader(data.test, transform, 32, seed=5, train=True, workers=workers)
    # Whoever draws elsewhere changes nothing.
    torch.rand(7), np.random.rand(3), random.random()
    for epoch in (0, 3):
        other.epoch, other.first = epoch, 0 if epoch == 0 else 2
        state = torch.get_rng_state()
        found = list(other)
        assert torch.equal(state, torch.get_rng_state())
    assert len(found) == len(expected) - 2
    for (images, targets), (same, classes) in zip(found, expected[2:], strict=True):
        assert torch.equal(images, same)
        assert torch.equal(targets, classes)
    assert len(list(other)) == len(expected)  # `first` was for one iteration


def test_an_epoch_alters_an_image_anew() -> None:
    data = open_data("digits")
    transform = training_transform(Augment(crop=(0.3, 0.6)), SPEC, (1, 8, 8), "classes")
    one = Loader(data.test, transform, len(data.test), seed=5, train=False)
    first = next(iter(one))[0]
    one.epoch = 1
    assert not torch.equal(first, next(iter(one))[0])


@pytest.mark.parametrize(("count", "batch", "world"), [(23, 5, 2), (24, 4, 3), (17, 4, 4), (9, 4, 2), (16, 16, 1)])
def test_processes_share_the_images(count: int, batch: int, world: int) -> None:
    for train in (True, False):
        if train and count < batch * world:
            continue
        shares = [order(loader(count, batch, train=train, rank=rank, world=world)) for rank in range(world)]
        assert len({len(share) for share in shares}) == 1
        seen = [index for share in shares for part in share for index in part]
        assert len(seen) == len(set(seen))
        assert max(len(part) for share in shares for part in share) <= batch
        if not train:
            assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_later_is_named(tmp_path: Path, workers: int) -> None:
    data = open_data(str(classes_of(tmp_path, ["cat", "dog"], 6)))
    broken = Path(data.train.name(2))
    broken.write_bytes(broken.read_bytes()[:60])
    batches = Loader(data.train, evaluation_transform(SPEC, (1, 8, 8)), 2, seed=0, train=True, workers=workers)
    with pytest.raises(InputError) as caught:
        list(batches)
    assert str(broken) in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_any_other_failure_of_an_image_is_named(workers: int) -> None:
    batches = Loader(Numbers(6, 4), evaluation_transform(SPEC, (1, 8, 8)), 2, seed=0, train=False, workers=workers)
    with pytest.raises(InputError, match=r"numbers\[4\].*the disk is gone"):
        list(batches)


def test_an_image_that_cannot_be_scaled_is_named(tmp_path: Path) -> None:
    root = classes_of(tmp_path, ["cat", "dog"], 4)
    data = open_data(str(root))
    thin = Path(data.train.name(0))
    Image.new("L", (200_000, 1)).save(thin)
    with pytest.raises(InputError, match=str(thin)):
        list(
            Loader(
                data.train,
                evaluation_transform(InputSpec(shape=[3, 1000, 1000], crop=0.5), (3, 1000, 1000)),
                1,
                seed=0,
                train=False,
            )
        )


def test_what_workers_need_can_be_pickled() -> None:
    data = open_data("digits")
    augment = Augment.model_validate({"crop": [0.5, 1], "flip": True, "color": 0.1, "randaugment": True, "erase": 0.5})
    one = Loader(data.test, training_transform(augment, SPEC, (1, 8, 8), "classes"), 32, seed=0, train=True)
    again = pickle.loads(pickle.dumps(one))
    for (images, targets), (same, classes) in zip(one, again, strict=True):
        assert torch.equal(images, same)
        assert torch.equal(targets, classes)


@pytest.mark.parametrize("way", ["kill", "exit"])
def test_a_worker_that_dies_is_said(way: str) -> None:
    split = Numbers(6, 4, way)
    batches = Loader(split, evaluation_transform(SPEC, (1, 8, 8)), 2, seed=0, train=False, workers=1)
    with pytest.raises(InputError) as caught:
        list(batches)
    assert "a process of 1 that reads images ended, or cannot be heard" in str(caught.value)
    assert "workers: 0" in str(caught.value)
    # PyTorch would blame the next process that ends for it.
    subprocess.run(["true"], check=True)


def test_a_worker_that_dies_interrupts_nothing_but_the_next_batch() -> None:
    split = Numbers(40)
    batches = iter(Loader(split, evaluation_transform(SPEC, (1, 8, 8)), 2, seed=0, train=False, workers=1))
    next(batches)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    # PyTorch would raise here, in the midst of a training step.
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    with pytest.raises(InputError, match="a process of 1 that reads images ended"):
        list(batches)


@pytest.mark.parametrize(
    ("count", "batch", "options", "message"),
    [
        (5, 6, {}, "5 images are fewer than a batch of 6"),
        (11, 4, {"world": 3}, "for each of 3 processes"),
        (2, 4, {"world": 3, "train": False}, "2 images are fewer"),
        (5, 0, {}, "a batch of 0 images"),
    ],
)
def test_too_few_images_are_refused(count: int, batch: int, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        loader(count, batch, **options)


def test_masks_make_batches_of_classes() -> None:
    class Masks(Numbers):
        def target(self, index: int) -> Image.Image:  # type: ignore[override]
            return Image.new("L", (8, 8), index)

    (found,) = Loader(Masks(3), evaluation_transform(SPEC, (1, 8, 8)), 3, seed=0, train=False)
    assert found[1].shape == (3, 8, 8)
    assert found[1].dtype == torch.int64
    assert found[1][:, 0, 0].tolist() == [0, 1, 2]
