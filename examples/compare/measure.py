"""Measures what attention does in the runs of where.yaml and scale.yaml, before training and after; draws pictures.

python examples/compare/measure.py where where.npz where    # the data, and the folder of the comparison
python examples/compare/measure.py scale scale.npz scale

Writes attention.csv and attention.png into the folder.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

import composer
from composer.compile.module import ComposedModule
from composer.training.run import Run

Array = NDArray[Any]
# The first weights of a run; its best are those by validation.
WEIGHTS: Mapping[str, Callable[[Run], Path]] = {
    "untrained": lambda run: run.folder / "checkpoints/step-0000000.safetensors",
    "trained": lambda run: run.weights,
}
EXAMPLES = 6
# A channel follows the scale, or goes against it, if its share changes by more.
CHANGES = 0.1


def opened(run: Run, weights: str) -> ComposedModule:
    """The network of a run, with its first or its best weights."""
    model = composer.build(run.network)
    composer.load_weights(model, WEIGHTS[weights](run))
    return model.eval()


def prepared(model: ComposedModule, images: Array) -> Tensor:
    """Grey images b h w of 0..255 as the network's input, b 1 h w."""
    (spec,) = model.spec.inputs.values()
    assert spec.mean, "a run writes it"
    assert spec.std, "a run writes it"
    return (torch.from_numpy(images)[:, None] / 255 - spec.mean[0]) / spec.std[0]


def recorded(model: ComposedModule, images: Array) -> tuple[Array, Tensor]:
    """The classes that a network gives, b, and the values of its only attention."""
    with torch.no_grad(), composer.record(model) as values:
        logits = model(prepared(model, images))
    (value,) = values.values()
    return logits.argmax(1).numpy(), value


# A spatial gate, against the mask of its object.


def on_pixels(gate: Tensor, side: int) -> Array:
    """A gate b 1 h w, as b side side."""
    found: Array = F.interpolate(gate, size=(side, side))[:, 0].numpy()
    return found


def auc(gate: Array, ones: Array, zeros: Array) -> float:
    """How often a pixel of `ones` has a larger gate than one of `zeros` in the same image; ties count half."""
    found = []
    for values, inside, outside in zip(gate, ones, zeros, strict=True):
        difference = values[inside][:, None] - values[outside]
        found.append((difference > 0).mean() + (difference == 0).mean() / 2)
    return float(np.mean(found))


def best_overlap(gate: Array, inside: Array) -> float:
    """Intersection over union of the mask and the pixels above a threshold: the best one for all images together."""
    order = np.argsort(-gate, axis=None)
    hits, taken = np.cumsum(inside.ravel()[order]), np.arange(1, len(order) + 1)
    # A threshold takes all pixels of one value, or none of them.
    whole = np.append(np.diff(gate.ravel()[order]) != 0, True)
    return float((hits / (taken + inside.sum() - hits))[whole].max())


def at_the_peak(gate: Array, inside: Array, others: Array) -> tuple[float, float]:
    """How often the largest value lies on the object, and how often nearer to it than to any of the other letters.

    Where several pixels share the largest value, the share of them that does.
    """
    hits, nearer = [], []
    for values, own, other in zip(gate, inside, others, strict=True):
        peaks = np.argwhere(values == values.max())
        near, far = (np.linalg.norm(peaks[:, None] - np.argwhere(mask)[None], axis=2).min(1) for mask in (own, other))
        hits.append((near == 0).mean())
        nearer.append((near < far).mean())
    return float(np.mean(hits)), float(np.mean(nearer))


def where(model: ComposedModule, data: Mapping[str, Array]) -> dict[str, float]:
    """What a spatial gate says of the place of its object."""
    classes, value = recorded(model, data["x_test"])
    inside, others = data["object_test"], data["distractors_test"]
    gate = on_pixels(value, inside.shape[1])
    pointing, nearest = at_the_peak(gate, inside, others)
    return {
        "accuracy": float((classes == data["y_test"]).mean()),
        "gate on the object": float(gate[inside].mean()),
        "gate on other letters": float(gate[others].mean()),
        "gate elsewhere": float(gate[~(inside | others)].mean()),
        "mass over area": float((gate * inside).sum() / gate.sum() / inside.mean()),
        "AUC against all else": auc(gate, inside, ~inside),
        "AUC against other letters": auc(gate, inside, others),
        "IoU": best_overlap(gate, inside),
        "pointing game": pointing,
        "peak nearest to the object": nearest,
    }


def plain_where(model: ComposedModule, data: Mapping[str, Array]) -> dict[str, float]:
    """What can be said of the network without a gate."""
    with torch.no_grad():
        classes = model(prepared(model, data["x_test"])).argmax(1).numpy()
    return {"accuracy": float((classes == data["y_test"]).mean())}


def chance_where(data: Mapping[str, Array]) -> dict[str, float]:
    """The same of a gate that knows nothing: for most measures, what follows from the areas."""
    area = float(data["object_test"].mean())
    return {
        "accuracy": 1 / len(data["classes"]),
        "mass over area": 1.0,
        "AUC against all else": 0.5,
        "AUC against other letters": 0.5,
        "IoU": area,
        "pointing game": area,
        "peak nearest to the object": 1 / 9,
    }


# Kernels, against the scale that is asked for.


class Given(nn.Module):
    """Stands for what a selective kernel computes its shares with, and gives these."""

    def __init__(self, shares: Tensor) -> None:
        super().__init__()
        self.shares = shares

    def forward(self, pooled: Tensor) -> Tensor:
        """The shares b m o 1 1 as logits, b (m o) 1 1."""
        return self.shares.log().flatten(1, 2)


def found(model: ComposedModule, images: Array, shares: Tensor | None = None) -> Array:
    """Where the network says that a middle is, b h w; with shares of its kernels that take the place of its own."""
    units = [module for module in model.modules() if type(module).__name__ == "SelectiveKernel"]
    own = [unit.attn for unit in units]
    if shares is not None:
        units[0].attn = Given(shares)
    with torch.no_grad():
        said: Array = model(prepared(model, images)).argmax(1).numpy() == 1
    for unit, before in zip(units, own, strict=True):
        unit.attn = before
    return said


def scale(model: ComposedModule, data: Mapping[str, Array]) -> dict[str, float]:
    """Whether the shares of the kernels change with the scale that is asked for, and whether they decide."""
    images, asked, others = data["x_test"], data["y_test"] > 0, data["others_test"] > 0
    far = data["scales_test"] == data["scales_test"].max()
    with torch.no_grad(), composer.record(model) as values:
        model(prepared(model, images))
    (shares,) = values.values()
    # The share of the larger kernel, b o, and how much more it is where large squares are asked for.
    larger = shares[:, 1, :, 0, 0].numpy()
    more = larger[far].mean(0) - larger[~far].mean(0)
    # Each image gets the shares of an image with the other bar.
    partner = np.empty(len(images), np.int64)
    partner[far], partner[~far] = (np.resize(np.flatnonzero(one), (~one).sum()) for one in (~far, far))
    said = found(model, images)
    frozen = found(model, images, shares.mean(0, keepdim=True).expand_as(shares))
    exchanged = found(model, images, shares[partner])
    return {
        "share of the larger kernel, small asked for": float(larger[~far].mean()),
        "share of the larger kernel, large asked for": float(larger[far].mean()),
        "change of the channel that changes most": float(np.abs(more).max()),
        "channels that follow the scale": float((more > CHANGES).mean()),
        "channels that go against it": float((more < -CHANGES).mean()),
        "correlation with the scale": float(np.corrcoef(larger.mean(1), far)[0, 1]),
        "asked squares found": float(said[asked].mean()),
        "other squares found": float(said[others].mean()),
        "asked, with shares frozen at their mean": float(frozen[asked].mean()),
        "others, with shares frozen at their mean": float(frozen[others].mean()),
        "asked, with the shares of the other bar": float(exchanged[asked].mean()),
        "others, with the shares of the other bar": float(exchanged[others].mean()),
    }


def plain_scale(model: ComposedModule, data: Mapping[str, Array]) -> dict[str, float]:
    """What can be said of the network with one kernel."""
    said = found(model, data["x_test"])
    return {
        "asked squares found": float(said[data["y_test"] > 0].mean()),
        "other squares found": float(said[data["others_test"] > 0].mean()),
    }


def chance_scale(data: Mapping[str, Array]) -> dict[str, float]:
    """Of shares that know nothing."""
    return dict.fromkeys(
        ("share of the larger kernel, small asked for", "share of the larger kernel, large asked for"), 0.5
    ) | dict.fromkeys(
        (
            "change of the channel that changes most",
            "channels that follow the scale",
            "channels that go against it",
            "correlation with the scale",
        ),
        0.0,
    )


# Pictures.


def draw_where(runs: Mapping[str, ComposedModule], data: Mapping[str, Array], path: Path) -> None:
    """Images, and over them the gate before training and after, on one range of colours."""
    from matplotlib import pyplot as plt

    images = data["x_test"][:EXAMPLES]
    figure, axes = plt.subplots(3, EXAMPLES, figsize=(EXAMPLES * 1.3, 4.1), layout="constrained")
    gates = {name: on_pixels(recorded(model, images)[1], images.shape[1]) for name, model in runs.items()}
    for row, (name, pictures) in enumerate({"image": images, **gates}.items()):
        for axis, picture, inside in zip(axes[row], pictures, data["object_test"], strict=False):
            shown = axis.imshow(
                picture, **({"cmap": "gray"} if row == 0 else {"vmin": 0, "vmax": 1, "cmap": "viridis"})
            )
            if row:
                axis.contour(inside, [0.5], colors="white", linewidths=1)
            axis.set(xticks=[], yticks=[])
        axes[row][0].set_ylabel(name if row == 0 else f"gate, {name}", fontsize=9)
    figure.colorbar(shown, ax=axes[1:], shrink=0.8)
    figure.savefig(path, dpi=110)


def draw_scale(runs: Mapping[str, ComposedModule], data: Mapping[str, Array], path: Path) -> None:
    """Four images, and the share of the larger kernel in each channel above a short bar and above a long one."""
    from matplotlib import pyplot as plt

    far = data["scales_test"] == data["scales_test"].max()
    chosen = [*np.flatnonzero(~far)[:2], *np.flatnonzero(far)[:2]]
    figure = plt.figure(figsize=(8, 4.8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    for axis, index in zip(above.subplots(1, len(chosen)), chosen, strict=True):
        axis.imshow(data["x_test"][index], cmap="gray")
        rows, columns = np.nonzero(data["y_test"][index])
        axis.plot(columns, rows, "o", markersize=11, markerfacecolor="none", markeredgecolor="tab:orange")
        axis.set(xticks=[], yticks=[])
        axis.set_title(f"{'large' if far[index] else 'small'} asked for", fontsize=9)
    plots = below.subplots(1, len(runs), sharey=True)
    for axis, (name, model) in zip(plots, runs.items(), strict=True):
        with torch.no_grad(), composer.record(model) as values:
            model(prepared(model, data["x_test"]))
        larger = next(iter(values.values()))[:, 1, :, 0, 0].numpy()
        for mark, images, word in (("o", ~far, "small"), ("^", far, "large")):
            axis.plot(larger[images].mean(0), mark, label=f"{word} asked for")
        axis.set(ylim=(-0.05, 1.05), xticks=range(larger.shape[1]))
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("channel", fontsize=9)
    plots[0].set_ylabel("share of the larger kernel", fontsize=9)
    plots[-1].legend(fontsize=8)
    figure.savefig(path, dpi=100)


TASKS = {
    "where": ("letters.yaml", "cbam_spatial", where, plain_where, chance_where, draw_where),
    "scale": ("squares.yaml", "sk", scale, plain_scale, chance_scale, draw_scale),
}


def main(task: str, source: str, folder: str) -> None:
    """Measure every seed of a comparison."""
    name, variant, measure, measure_plain, chance, draw = TASKS[task]
    data = dict(np.load(source))
    rows: list[dict[str, Any]] = [{"seed": "", "weights": "chance", **chance(data)}]
    runs = sorted(Path(folder).glob(f"trials/*{name}_{variant}/seed-*/run"), key=lambda one: int(one.parent.name[5:]))
    for path in runs:
        seed = path.parent.name[5:]
        models = {weights: opened(Run(path), weights) for weights in WEIGHTS}
        for weights, model in models.items():
            rows.append({"seed": seed, "weights": weights, **measure(model, data)})
        (plain,) = Path(folder).glob(f"trials/*{name}/seed-{seed}/run")
        rows.append({"seed": seed, "weights": "plain", **measure_plain(opened(Run(plain), "trained"), data)})
        if path is runs[0]:
            draw(models, data, Path(folder) / "attention.png")
    with (Path(folder) / "attention.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[1]), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
