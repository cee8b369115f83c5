"""Attention from a token to patches, and rollout. Abnar and Zuidema, Quantifying Attention Flow, ACL 2020."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rollout(maps: Sequence[Tensor], *, discard: float = 0.0) -> Tensor:
    """How much of each token before the first block arrives at each token after the last: n n, rows sum to 1.

    Math:  product over blocks, the last on the left, of  (mean over heads + identity) / row sums

    The identity stands for the residual connection.

    maps     attention of each block in running order, heads n n; rows are the tokens that look
    discard  share of each row's weights, the smallest, to treat as noise and set to 0 before the identity is added

    Raises ValueError for maps that do not multiply.

    >>> turn = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    >>> rollout([turn]).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    _check(maps, discard)
    precision = torch.promote_types(maps[0].dtype, torch.float32)
    identity = torch.eye(maps[0].shape[-1], dtype=precision, device=maps[0].device)
    result = identity
    for attention in maps:
        mixed = _without_smallest(attention.to(identity).mean(0), discard) + identity
        result = mixed / mixed.sum(1, keepdim=True) @ result
    return result


def patch_maps(attention: Tensor, patch: int, grid: tuple[int, int], *, prefix: int) -> Tensor:
    """Where a patch looks, per head: heads rows columns.

    attention  heads n n; the n are `prefix` tokens, such as a class token, then the patches row by row
    patch      number of the patch in the grid, row by row from 0
    grid       rows and columns of the grid
    prefix     number of tokens before the patches

    Raises ValueError for arguments that do not fit.
    """
    _check_grid(attention, grid, prefix)
    if not 0 <= patch < grid[0] * grid[1]:
        raise ValueError(f"there is no patch {patch} in a grid of {grid[0]}×{grid[1]}; they count from 0, row by row")
    return attention[:, prefix + patch, prefix:].unflatten(1, grid)


def class_token_map(attention: Tensor, grid: tuple[int, int], *, prefix: int) -> Tensor:
    """Where the class token, the first token, looks, per head: heads rows columns. Arguments as for `patch_maps`."""
    _check_grid(attention, grid, prefix)
    if not prefix:
        raise ValueError("there is no class token: no tokens stand before the patches (prefix=0)")
    return attention[:, 0, prefix:].unflatten(1, grid)


def _check(maps: Sequence[Tensor], discard: float) -> None:
    if not maps:
        raise ValueError("rollout takes the attention of at least one block, found none")
    if not 0 <= discard < 1:
        raise ValueError(f"discard={discard} is no share of a row; give 0 or more, less than 1")
    for number, attention in enumerate(maps):
        if attention.ndim != 3 or attention.shape[1] != attention.shape[2]:
            raise ValueError(f"attention {number} is {_shape(attention)}; rollout takes heads×n×n")
        if attention.shape[1] != maps[0].shape[1]:
            text = f"attention {number} is {_shape(attention)}, attention 0 {_shape(maps[0])}"
            raise ValueError(f"{text}; rollout takes blocks of the same tokens")


def _check_grid(attention: Tensor, grid: tuple[int, int], prefix: int) -> None:
    tokens = prefix + grid[0] * grid[1]
    if attention.ndim != 3 or attention.shape[1:] != (tokens, tokens):
        wanted = f"heads×{tokens}×{tokens}, for a grid of {grid[0]}×{grid[1]} behind {prefix} tokens"
        raise ValueError(f"the attention is {_shape(attention)}, expected {wanted}")


def _without_smallest(attention: Tensor, discard: float) -> Tensor:
    """The rows, with this share of their weights, the smallest, set to 0."""
    smallest = attention.topk(int(attention.shape[1] * discard), dim=1, largest=False).indices
    return attention.scatter(1, smallest, 0.0)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"
