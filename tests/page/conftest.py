"""The networks and made-up views that pictures are tested with."""

from draw.conftest import make, view_of

__all__ = ["make", "view_of"]
