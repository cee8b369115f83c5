"""Pictures in the colours of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from composer.dag.composition import Composition
from composer.dag.sketch import Sketch
from composer.draw.picture import Picture, Wish, draw
from composer.draw.values import Values
from composer.page.data import Network, costs_of
from composer.page.facts import facts_of
from composer.page.modes import chosen_mode, in_colours, modes_of
from composer.page.sources import Files
from composer.page.tables import Tables
from composer.summary.memory import Traces


def coloured_picture(
    sketch: Sketch,
    graph: Composition | None,
    wish: Wish,
    seconds: Mapping[str, float] | None = None,
    values: Sequence[Values] = (),
) -> Picture:
    """The picture of a network, coloured as its page is at the start; arguments as for `render_page`.

    Raises InputError for a selection that finds nothing, and for a colour that there is not.
    """
    network = Network("composed", sketch.spec.name, sketch, graph, seconds, values)
    _, facts = facts_of(sketch, costs_of(network, Traces()), Tables(), Files())
    modes = modes_of([(network.view, facts)], values)
    return in_colours(draw(sketch, wish, network.view), chosen_mode(wish.colour, modes, sketch), modes, facts, values)
