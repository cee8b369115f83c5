"""Turns a tree of scopes into a plain PyTorch module. No file here names a layer or a mechanism."""
