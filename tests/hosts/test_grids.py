"""The grids of tokens that recordings of timm's models claim: a marker in the image, and the token that reacts most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import timm
import torch
from torch import Tensor, nn

import composer
from composer.dag.tensor import TensorSpec
from composer.hosts.recording.record import record

# The row and column of a marker on a grid of cells; (window, row in it, column in it) where it must be seen.
Seen = Callable[[int, int], tuple[int, int, int]]


class Case(NamedTuple):
    """A model and a node that gives tokens.

    stride of the cells of the image, of which one is marked
    seen   which token stands for a cell, told by hand
    side   of the image
    shift  pixels by which the marker stands before its cell, since convolutions of stride 2 look around even positions
    width  of the marker; None for that of the cell
    """

    model: str
    path: str
    stride: int
    seen: Seen
    side: int = 64
    shift: int = 0
    width: int | None = None

    @property
    def cells(self) -> int:
        """How many there are along each side."""
        return -(-self.side // self.stride)


def whole(row: int, column: int) -> tuple[int, int, int]:
    return 0, row, column


CASES = [
    # Stem of stride 16; tokens are every second of each row and column from stage to stage.
    Case("levit_128s", "stages.0.blocks.1", 16, whole, 224, 8, 16),
    Case("levit_128s", "stages.1.downsample", 32, whole, 224, 8, 16),
    Case("levit_128s", "stages.2.blocks.0", 64, whole, 224, 8, 16),
    # Maps of stride 8; a window holds every second position.
    Case("mobilevit_xxs", "stages.2.1.transformer.0", 8, lambda y, x: (2 * (y % 2) + x % 2, y // 2, x // 2)),
    # Pixels of stride 4; a window is a patch of 4x4 of them.
    Case("tnt_s_legacy_patch16_224", "blocks.0.add_2", 4, lambda y, x: (y // 4 * 4 + x // 4, y % 4, x % 4)),
    Case("tnt_s_patch16_224", "blocks.0.add_2", 4, lambda y, x: (y // 4 * 4 + x // 4, y % 4, x % 4)),
    Case("tnt_s_legacy_patch16_224", "blocks.0.add_5", 16, whole),
    # The last stage, where the tokens of each mask unit are pooled to one.
    Case("hiera_tiny_224", "blocks.10", 32, whole),
    Case("hiera_tiny_224", "blocks.11", 32, whole),
]
SMALL: dict[str, dict[str, Any]] = {"tnt": {"img_size": 64, "depth": 1}, "hiera": {"img_size": 64}}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(name, **SMALL.get(name.partition("_")[0], {})).eval()
    for path, one in model.named_parameters():
        if path.endswith("attention_biases"):
            # Without a shortcut around it, an attention shows where it is only if it looks at what is near.
            one.data[:, 0] = 20
    return model


def claimed(model: nn.Module, path: str, side: int) -> TensorSpec:
    scope = record(model, (torch.empty(2, 3, side, side),))
    (node,) = [one for one in scope.walk() if one.path == path]
    assert node.result is not None
    return node.result


def reactions(model: nn.Module, case: Case, row: int, column: int) -> Tensor:
    """How much each token changes when a cell of the image does: windows × tokens."""
    plain = torch.randn(1, 3, case.side, case.side, generator=torch.Generator().manual_seed(1))
    begins = (row * case.stride - case.shift, column * case.stride - case.shift)
    rows, columns = (slice(max(0, one), one + (case.width or case.stride)) for one in begins)
    marked = plain.clone()
    marked[..., rows, columns] += 3
    with torch.no_grad():
        found = [value_at(model, case.path, images) for images in (plain, marked)]
    return (found[1] - found[0]).norm(dim=-1)


def value_at(model: nn.Module, path: str, images: Tensor) -> Tensor:
    """What a node of a timm model gives; of `add_N` in a block of TNT, its pixels or its patches."""
    module, _, function = path.rpartition(".")
    kept: list[Any] = []
    host = model.get_submodule(module if function.startswith("add") else path)
    handle = host.register_forward_hook(lambda module, args, result: kept.append(result))
    model(images)
    handle.remove()
    result = kept[0]
    if isinstance(result, tuple):
        result = result[0] if function == "add_2" else result[1]
    return result


@pytest.mark.parametrize("case", CASES, ids=lambda one: f"{one.model}-{one.path}")
def test_the_token_that_reacts_most_is_the_one_that_the_grid_says(case: Case) -> None:
    model = made(case.model)
    spec = claimed(model, case.path, case.side)
    grid = spec.grid
    assert spec.layout == "b n c"
    assert grid is not None
    for row, column in ((0, 1), (1, 0), (case.cells - 1, case.cells // 2), (case.cells // 3, case.cells - 1)):
        found = reactions(model, case, row, column)
        assert found.shape == (spec.windows, grid.tokens)
        window, y, x = case.seen(row, column)
        at = int(found.argmax())
        assert divmod(at, grid.tokens) == (window, grid.prefix + y * grid.width + x), (row, column)


def test_tokens_of_mask_units_stand_on_no_grid() -> None:
    """Hiera puts what it will pool together one behind the other, until its last stage."""
    model, case = made("hiera_tiny_224"), Case("hiera_tiny_224", "blocks.0", 4, whole)
    spec = claimed(model, case.path, case.side)
    assert (spec.layout, spec.shape[1], spec.grid) == ("b n c", 256, None)
    seen = {
        (row, column): int(reactions(model, case, row, column).argmax())
        for row, column in ((0, 0), (0, 1), (0, 2), (1, 0))
    }
    # Row by row these would be 0, 1, 2, 16. Odd rows come 128 tokens behind even ones, odd columns 64; of what is left,
    # odd columns come 16 behind even ones.
    assert seen == {(0, 0): 0, (0, 1): 64, (0, 2): 16, (1, 0): 128}
    with pytest.raises(composer.GraphError, match=r"`unroll` gives them in an order that is not row by row"):
        composer.insert(model, {"use": "cbam_spatial", "after": "blocks.0"}, torch.zeros(1, 3, 64, 64))
    composer.insert(model, {"use": "cbam_spatial", "after": "blocks.1?"}, torch.zeros(1, 3, 64, 64))
