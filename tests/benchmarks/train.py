"""What a step of `composer train` takes beside that of a plain loop, over the same batches, in turn.

python -m tests.benchmarks.train [--network resnet18] [--size 64] [--batch 64] [--steps 12] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

import composer
from composer.spec.augment import Augment
from composer.training.data import Data, Loader, open_data, training_transform
from composer.training.keeping import Keeper

# Steps that are not measured.
WARM = 3


def trained(network: str, data: Data, size: int, batch: int, steps: int) -> float:
    """Seconds of a step of a run."""
    marks: list[float] = []
    real = Keeper.on_train_batch_end

    def marked(self: Keeper, *arguments: Any) -> None:
        real(self, *arguments)
        marks.append(time.process_time())

    Keeper.on_train_batch_end = marked  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            recipe = {"steps": steps, "batch": batch}
            composer.train(network, data, out=Path(folder) / "run", recipe=recipe, size=size, say=lambda text: None)
    finally:
        Keeper.on_train_batch_end = real  # type: ignore[method-assign]
    return statistics.median(after - before for before, after in zip(marks[WARM:], marks[WARM + 1 :], strict=False))


def plain(network: str, data: Data, size: int, batch: int, steps: int) -> float:
    """Seconds of a step of a loop that anybody would write."""
    model = composer.build(network, num_classes=10, in_chans=1, img_size=size).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    image = next(iter(model.spec.inputs.values())).model_copy(update={"mean": [0.3], "std": [0.4]})
    loader = Loader(
        data.train, training_transform(Augment(), image, (1, size, size), "classes"), batch, seed=0, train=True
    )
    marks: list[float] = []
    while len(marks) < steps:
        for images, targets in loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(images), targets).backward()
            optimizer.step()
            marks.append(time.process_time())
            if len(marks) == steps:
                break
    return statistics.median(after - before for before, after in zip(marks[WARM:], marks[WARM + 1 :], strict=False))


def main() -> None:
    """Measure, and print the ratio of each round."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.train")
    parser.add_argument("--network", default="resnet18")
    for name, usual in (("size", 64), ("batch", 64), ("steps", 12), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    data = open_data("digits")
    ratios = []
    for _ in range(given.rounds):
        numbers = (given.network, data, given.size, given.batch, given.steps)
        ours, theirs = trained(*numbers), plain(*numbers)
        ratios.append(ours / theirs)
        print(f"{ours:.3f} s beside {theirs:.3f} s: {ratios[-1]:.3f}", flush=True)
    print(f"median {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
