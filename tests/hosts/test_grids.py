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
    """

    model: str
    path: str
    stride: int
    seen: Seen
    side: int = 64

    @property
    def cells(self) -> int:
        """How many there are along each side."""
        return -(-self.side // self.stride)


def whole(row: int, column: int) -> tuple[int, int, int]:
    return 0, row, column


CASES = [
    # Stem of stride 16; tokens are every second of each row and column from stage to stage.
    Case("levit_128s", "stages.0.blocks.1", 16, whole, 224),
    Case("levit_128s", "stages.1.downsample", 32, whole, 224),
    Case("levit_128s", "stages.2.blocks.0", 64, whole, 224),
    # Maps of stride 8; a window holds every second position.
    Case("mobilevit_xxs", "stages.2.1.transformer.0", 8, lambda y, x: (2 * (y % 2) + x % 2, y // 2, x // 2)),
    Case("mobilevitv2_050", "stages.2.1.transformer.0", 8, lambda y, x: (2 * (y % 2) + x % 2, y // 2, x // 2)),
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
        if one.ndim == 4 and one.shape[-1] > 1:
            # Nor does a convolution spread what it sees over its neighbours.
            kept = one.data[:, :, one.shape[2] // 2, one.shape[3] // 2].clone()
            one.data.zero_()
            one.data[:, :, one.shape[2] // 2, one.shape[3] // 2] = kept
    return model


def claimed(model: nn.Module, path: str, side: int) -> TensorSpec:
    scope = record(model, (torch.empty(2, 3, side, side),))
    (node,) = [one for one in scope.walk() if one.path == path]
    assert node.result is not None
    return node.result


def reactions(model: nn.Module, case: Case, row: int, column: int) -> Tensor:
    """How much each token changes when a cell of the image does: windows × tokens."""
    plain = torch.randn(1, 3, case.side, case.side, generator=torch.Generator().manual_seed(1))
    rows, columns = (slice(one * case.stride, (one + 1) * case.stride) for one in (row, column))
    marked = plain.clone()
    marked[..., rows, columns] += 3
    with torch.no_grad():
        found = [value_at(model, case.path, images) for images in (plain, marked)]
    change = found[1] - found[0]
    # Windows side by side are b c p n.
    return change.norm(dim=1)[0] if change.ndim == 4 else change.norm(dim=-1)


def value_at(model: nn.Module, path: str, images: Tensor) -> Tensor:
    """What a node of a timm model gives; of `add_N` in a block of TNT, its pixels or its patches."""
    module, _, function = path.rpartition(".")
    (result,) = values(model.get_submodule(module if function.startswith("add") else path), model, images)
    if isinstance(result, tuple):
        return result[0] if function == "add_2" else result[1]
    return result


def values(host: nn.Module, model: nn.Module, images: Tensor) -> list[Any]:
    """What a module gives in a call of the model."""
    kept: list[Any] = []
    handle = host.register_forward_hook(lambda module, args, result: kept.append(result))
    model(images)
    handle.remove()
    return kept


@pytest.mark.parametrize("case", CASES, ids=lambda one: f"{one.model}-{one.path}")
def test_the_token_that_reacts_most_is_the_one_that_the_grid_says(case: Case) -> None:
    model = made(case.model)
    spec = claimed(model, case.path, case.side)
    grid = spec.grid
    assert spec.layout in ("b n c", "b c p n")
    assert grid is not None
    for row, column in ((0, 1), (1, 0), (case.cells - 1, case.cells // 2), (case.cells // 3, case.cells - 1)):
        found = reactions(model, case, row, column)
        assert found.shape == (spec.axis("p") or spec.windows, grid.tokens)
        window, y, x = case.seen(row, column)
        at = int(found.argmax())
        assert divmod(at, grid.tokens) == (window, grid.prefix + y * grid.width + x), (row, column)


def test_windows_side_by_side_get_a_map_each() -> None:
    """MobileViTv2 has them as b c p n; a gate of channels looks at all of their tokens together."""
    model, images = made("mobilevitv2_050"), torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    block: Any = model.get_submodule("stages.2.1.transformer.0")
    with torch.no_grad():
        (plain,) = values(block, model, images)
        composer.insert(model, {"use": "cbam_spatial", "after": "stages.2.1.transformer.0"}, images)
        maps = plain.transpose(1, 2).flatten(0, 1).unflatten(2, (4, 4))
        gated = block.out_cbam_spatial(maps).flatten(2).unflatten(0, (2, 4)).transpose(1, 2)
        torch.testing.assert_close(values(block, model, images)[0], gated)
        composer.remove(model)
        composer.insert(model, {"use": "se", "after": "stages.2.1.transformer.0"}, images)
        torch.testing.assert_close(values(block, model, images)[0], block.out_se(plain))


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
