"""From a Spec to a tree of scopes, each a networkx.DiGraph, with every shape known and nothing allocated."""
