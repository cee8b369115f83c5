"""How an image becomes a network's input, in words."""

from __future__ import annotations

from typing import Any

from composer.spec.model import InputSpec

# The parts of an image's preparation besides its size.
FIELDS = ("mean", "std", "interpolation", "crop")


def describe(image: InputSpec) -> str:
    """How an image is prepared, in one line."""
    parts = [f"{name} {words(value)}" for name in FIELDS[:2] if (value := getattr(image, name)) is not None]
    return ", ".join([*parts, f"{size(image)} pixels", f"crop {image.crop:g}", image.interpolation])


def size(image: InputSpec) -> str:
    """Height and width of an image, as text."""
    return "×".join(map(str, image.shape[1:]))


def plain(value: Any) -> Any:
    """A single number for a list of equal numbers; any other value unchanged."""
    return value[0] if isinstance(value, list) and len(set(value)) == 1 else value


def words(value: Any) -> str:
    """A mean, a std or another part of a preparation, as text."""
    value = plain(value)
    if isinstance(value, list):
        return " ".join(f"{one:g}" for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
