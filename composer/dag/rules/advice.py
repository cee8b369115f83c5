"""Layers that would turn one tensor into another, for the help of a message."""

from __future__ import annotations

from collections.abc import Iterator

from composer.dag.tensor import TensorSpec

_TURNS = {
    ("b h w c", "b c h w"): "channels_first",
    ("b c h w", "b h w c"): "channels_last",
    ("b c h w", "b n c"): "map_to_tokens",
    ("b n c", "b c h w"): "tokens_to_map",
}


def layers_between(found: TensorSpec, wanted: TensorSpec) -> tuple[str, ...]:
    """Help that names the layers that would give the wanted tensor; empty if no usual layer does."""
    if found.layout != wanted.layout:
        op = _TURNS.get((found.layout or "", wanted.layout or ""))
        return (f"`{op}` turns `{found.layout}` into `{wanted.layout}`",) if op else ()
    layers = [*_of_size(found, wanted), *_of_channels(found, wanted)]
    return (f"{' and '.join(f'`{layer}`' for layer in layers)} would adapt it",) if layers else ()


def _of_size(found: TensorSpec, wanted: TensorSpec) -> Iterator[str]:
    height, width = wanted.axis("h"), wanted.axis("w")
    if found.layout != "b c h w" or (found.axis("h"), found.axis("w")) == (height, width):
        return
    smaller = (found.axis("h") or 0) <= (height or 0) and (found.axis("w") or 0) <= (width or 0)
    yield (
        f"{{op: upsample, size: [{height}, {width}]}}"
        if smaller
        else (f"{{op: adaptive_avg_pool, output_size: [{height}, {width}]}}")
    )


def _of_channels(found: TensorSpec, wanted: TensorSpec) -> Iterator[str]:
    if wanted.channels is None or found.channels == wanted.channels:
        return
    if found.layout == "b c h w":
        yield f"{{op: conv2d, out_channels: {wanted.channels}, kernel_size: 1}}"
    elif (found.layout or "").endswith(" c"):
        yield f"{{op: linear, out_features: {wanted.channels}}}"
