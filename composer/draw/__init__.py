"""Pictures of a graph: Graph -> view (what is drawn) -> layout (where) -> SVG, DOT, Mermaid, JSON."""
