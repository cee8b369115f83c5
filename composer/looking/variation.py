"""Whether an attention depends on its input: how much it changes from one input to another."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from composer.looking.gather import COPIES, Gathered, Seen

# A change below this share of the value's size counts as none.
STILL = 0.01
NOTHING = 1e-6

Verdict = Literal["listens", "ignores its input", "its input is still", "unknown"]


def variation(values: Tensor) -> float:
    """How much values (inputs x …) differ between inputs, as a share of their size.

    The root mean square of their standard deviation over the inputs, divided by the root mean square of their mean.

    >>> import torch
    >>> variation(torch.tensor([[1.0, 1.0], [3.0, 3.0]])), variation(torch.ones(5, 3))
    (0.5, 0.0)
    """
    deviation = float(values.double().var(0, correction=0).mean().sqrt())
    size = float(values.double().mean(0).square().mean().sqrt())
    return 0.0 if deviation < NOTHING * max(size, NOTHING) else deviation / max(size, NOTHING)


def verdict(seen: Seen) -> Verdict:
    """Whether an attention depends on its input, as far as these inputs show."""
    if seen.everything is None or seen.fed is None:
        return "unknown"
    if variation(seen.everything) >= STILL:
        return "listens"
    return "ignores its input" if variation(seen.fed) >= STILL else "its input is still"


def judged(gathered: Gathered) -> str:
    """How `verdict` decides, in words."""
    count = len(gathered.names)
    images = "the image" if count == 1 else f"{count} images"
    of = "it" if count == 1 else "the first"
    return (
        f"judged over {images} and {len(COPIES)} altered copies of {of} ({', '.join(COPIES)}): "
        f"a change below {STILL:.0%} of its own size, root mean square over channels, counts as none"
    )
