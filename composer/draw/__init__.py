"""Pictures of a graph: Graph -> view (what is drawn) -> layout (where) -> SVG, DOT, Mermaid, JSON.

`build.build_view` makes the view of a whole network with every block open; `view.opened` closes deep blocks.
`layout.lay_out` places a view and the open views in it, each in its own coordinates: a page that opens and closes
containers can lay out each container by itself, because a layout does not depend on its surroundings. `picture.draw`
chooses the content of a picture.
"""
