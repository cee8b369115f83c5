"""Runs a network on images or tensors, and says what its logits mean."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from composer.amounts import plural
from composer.errors import ComposerError, Diagnostic, InputError
from composer.files import staged
from composer.images import find_images, input_of, read_batches
from composer.paths import obstacle, reason
from composer.weights.pickled import unpickle
from composer.weights.save import save_tensors
from composer.weights.tensor import irregular

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

BATCH_SIZE = 16


@dataclass
class Guess:
    """A class and its probability in 0..1."""

    index: int
    name: str | None
    probability: float
    logit: float


def inputs(model: ComposedModule, images: Sequence[Path], tensor: Path | None) -> tuple[list[str], Iterator[Tensor]]:
    """Names of the inputs, and batches b c h w of them. Raises InputError for inputs that the network cannot take."""
    wanted = model.graph.root.inputs
    if len(wanted) != 1:
        text = f"`{model.spec.name}` takes {len(wanted)} inputs ({', '.join(wanted)})"
        raise InputError(Diagnostic("input", text, help=("run it from Python, which can give it several",)))
    shape = next(iter(wanted.values())).shape[1:]
    if tensor is not None:
        batch = read_tensor(tensor)
        if batch.ndim == len(shape):
            batch = batch[None]
        if tuple(batch.shape[1:]) != tuple(shape):
            found, asked = ("×".join(map(str, one)) for one in (batch.shape, ("b", *shape)))
            raise InputError(Diagnostic("input", f"`{tensor}` is {found}", label=asked))
        return [f"{tensor}[{index}]" for index in range(len(batch))], iter(batch.split(BATCH_SIZE))
    if len(shape) != 3:
        raise InputError(Diagnostic("input", "an image is no input of this network", label="--tensor FILE"))
    paths = find_images(images)
    return [str(path) for path in paths], read_batches(paths, input_of(model), shape, BATCH_SIZE)


def read_tensor(path: Path) -> Tensor:
    """The tensor in a file, as float32. Raises InputError, or WeightsError for a pickle that names code."""
    if problem := obstacle(path):
        raise InputError(Diagnostic("tensor", f"the tensor `{path}` {problem}", label="a file"))
    try:
        if path.suffix == ".npy":
            found = torch.from_numpy(np.load(path, allow_pickle=False))
        elif path.suffix == ".safetensors":
            (found,) = load_file(path).values()
        elif path.suffix in (".pt", ".pth"):
            found = unpickle(path)
        else:
            raise InputError(Diagnostic("tensor", f"cannot tell what `{path}` is", label=".npy, .pt or .safetensors"))
    except ComposerError:
        raise
    except Exception as error:
        # Arbitrary bytes can make a reader fail in any way.
        raise InputError(Diagnostic("tensor", f"cannot read the tensor `{path}`: {reason(error)}")) from error
    if not isinstance(found, Tensor) or found.ndim == 0:
        raise InputError(Diagnostic("tensor", f"`{path}` does not hold one tensor"))
    if (kind := irregular(found)) or found.is_complex():
        text = f"`{path}` holds {kind or 'complex numbers'}"
        raise InputError(Diagnostic("tensor", text, label="one plain dense tensor"))
    return found.float()


def run(model: ComposedModule, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Output name -> the network's output in eval mode for all batches, on the CPU in float32."""
    first = next(model.parameters(), torch.empty(0))
    found: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for batch in batches:
            result = model.eval()(batch.to(first.device, first.dtype))
            named = result if isinstance(result, dict) else {next(iter(model.graph.root.outputs)): result}
            for name, value in named.items():
                found.setdefault(name, []).append(value.float().cpu())
    return {name: torch.cat(values) for name, values in found.items()}


def guesses(outputs: dict[str, Tensor], classes: Sequence[str] | None, top: int) -> list[list[Guess]] | None:
    """The likeliest classes per input; None for a network without a single vector of logits."""
    if len(outputs) != 1 or (logits := next(iter(outputs.values()))).ndim != 2:
        return None
    named = classes if classes is not None and len(classes) == logits.shape[1] else None
    values, indices = logits.softmax(1).topk(min(top, logits.shape[1]))
    return [
        [
            Guess(index, named[index] if named else None, value, float(logits[row, index]))
            for value, index in zip(values[row].tolist(), indices[row].tolist(), strict=True)
        ]
        for row in range(len(logits))
    ]


def describe(value: Tensor) -> str:
    """A tensor's mean and range, in a few words."""
    return f"mean {value.mean():.4g}, from {value.min():.4g} to {value.max():.4g}" if value.numel() else "empty"


def save(outputs: dict[str, Tensor], path: Path, *, force: bool = False) -> None:
    """Write outputs as .safetensors, or a single output as .npy. Raises InputError."""
    if path.suffix not in (".safetensors", ".npy") or (path.suffix == ".npy" and len(outputs) > 1):
        label = "a name that ends in .safetensors" + (" or .npy" if len(outputs) == 1 else "")
        text = f"cannot write {plural(len(outputs), 'output')} to `{path}`"
        raise InputError(Diagnostic("output", text, label=label))
    with staged([path], force=force) as (file,):
        if path.suffix == ".npy":
            # numpy writes to a file outside Python and ignores a full disk, so it writes to memory first.
            content = io.BytesIO()
            np.save(content, next(iter(outputs.values())).numpy())
            file.write_bytes(content.getvalue())
        else:
            save_tensors({name: value.contiguous() for name, value in outputs.items()}, file)
