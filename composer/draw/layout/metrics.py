"""Sizes of boxes and words that a layout needs: those of a screen (`composer.draw.measure`), or those of print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from composer.draw.view import Box, View


@dataclass(frozen=True)
class Spacing:
    """Distances between items, in pixels.

    box     between boxes beside each other
    wire    between wires beside each other, and between a wire and a box
    track   between horizontal wires
    leave   the length of a wire out of a box before it turns
    arrive  the room for an arrow's head before the next box
    """

    box: int = 26
    wire: int = 14
    track: int = 8
    leave: int = 8
    arrive: int = 14


SCREEN = Spacing()


class Metrics(Protocol):
    """Sizes, in pixels. Its functions are those of `composer.draw.measure`."""

    @property
    def PAD(self) -> int: ...
    @property
    def ROW(self) -> int: ...
    @property
    def SHEETS(self) -> int: ...
    @property
    def HEADER(self) -> int: ...
    @property
    def FRAME(self) -> int: ...
    @property
    def PORT(self) -> int: ...
    @property
    def LABEL_ROW(self) -> int: ...
    @property
    def BESIDE(self) -> int: ...
    @property
    def BELOW(self) -> int: ...
    @property
    def SPACING(self) -> Spacing: ...

    def box_width(self, view: View, /) -> int: ...
    def own_width(self, box: Box, common: int, /) -> int: ...
    def box_height(self, box: Box, /) -> int: ...
    def header_width(self, box: Box, /) -> int: ...
    def pill_width(self, name: str, /) -> int: ...
    def label_width(self, shape: str, /) -> int: ...
    def shows_shape(self, box: Box, /) -> bool: ...
