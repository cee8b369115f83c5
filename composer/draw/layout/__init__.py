"""Where everything is. An arrangement (which layer, in which order) depends on no size; positions and wires follow.

`rank` and `order` arrange, `straight` and `columns` say how far to the right, `ways` and `tracks` where wires run,
`route` puts them together, and `layout` does so for a view with everything that is open in it.
"""

from composer.draw.layout.layout import Known, lay_out
from composer.draw.layout.placed import Label, Layout, Placed, Wire

__all__ = ["Known", "Label", "Layout", "Placed", "Wire", "lay_out"]
