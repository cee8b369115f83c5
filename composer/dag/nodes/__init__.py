"""Nodes of a spec and of its blocks, made into operations and scopes."""
