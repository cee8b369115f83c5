"""The names of networks inside a network: of blocks, and of nodes with `backbone`."""

from __future__ import annotations

# Most networks inside networks that one spec may have, those inside others with them.
MAX_PARTS = 256


def key_of_node(block: str, node: str) -> str:
    """The name of the part that a node is, in a block or (an empty name) in the network. No block is called so."""
    return f"{block}/{node}"


def vars_key(part: str) -> str:
    """The key under which a node gives vars to its part: `vars` in the short form, `args` for a block."""
    return "vars" if "/" in part else "args"
