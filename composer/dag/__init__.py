"""From a Spec to a tree of scopes with every shape known. Nothing is allocated."""
