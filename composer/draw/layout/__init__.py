"""Positions of boxes and wires. The arrangement (layers, and the order in each) depends on no size and comes first.

`rank` and `order` make the arrangement, `straight`, `packing` and `columns` find horizontal positions, `ways` and
`tracks` the ways of wires, `route` combines them, and `layout` does this for a view and all open boxes in it.
"""

from composer.draw.layout.layout import Known, lay_out
from composer.draw.layout.placed import Label, Layout, Placed, Wire

__all__ = ["Known", "Label", "Layout", "Placed", "Wire", "lay_out"]
