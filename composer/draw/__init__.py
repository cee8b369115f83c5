"""Pictures of a graph: Graph -> view (what is drawn) -> layout (where) -> SVG, DOT, Mermaid, JSON.

`build.build_view` makes the view of a whole network, everything open; `view.opened` closes what is too deep.
`layout.lay_out` places one view and the open ones in it, each in coordinates of its own: a page that opens and closes
containers can lay out each by itself, since nothing in it depends on what is around it. `picture.draw` chooses what
goes on one picture.
"""
