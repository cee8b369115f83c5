"""From a tree of scopes to a plain PyTorch module. Nothing here names a layer or a mechanism."""
