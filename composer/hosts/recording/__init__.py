"""One call of a module as a graph: its frames, the tree of scopes, layouts, and what its nodes are."""
